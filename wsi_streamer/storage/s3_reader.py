"""One version of an object in S3, read by ranges."""

from collections.abc import Sequence
from functools import partial

from wsi_streamer.errors import SlideChanged, SlideNotFound
from wsi_streamer.storage.base import Extent
from wsi_streamer.storage.bounds import check_range
from wsi_streamer.storage.coalesce import cut_parts, plan_reads
from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.s3_answer import RangeRequest
from wsi_streamer.storage.s3_range import RangeGetter
from wsi_streamer.storage.s3_version import S3Version


class S3RangeReader:
    """Asks with each request for the version opened; `known` bytes of it cost nothing."""

    def __init__(
        self,
        getter: RangeGetter,
        key: str,
        version: S3Version,
        gap: int,
        known: tuple[Extent, ...] = (),
    ) -> None:
        self._getter = getter
        self._key = key
        self._etag = version.etag
        self._gap = gap
        self.size = version.size
        self.version = version.text
        self.known = known

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`, in at most one request."""
        check_range(offset, length, self.size)
        return self._read(offset, length, None)

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range; requests that this takes are under way together."""
        if len(ranges) == 1:
            return [self.read(*ranges[0])]
        for offset, length in ranges:
            check_range(offset, length, self.size)
        plan = plan_reads(ranges, self._gap)
        deadline = self._getter.begin()
        tasks = [partial(self._read, read.offset, read.length, deadline) for read in plan]
        return cut_parts(ranges, plan, self._getter.run(tasks))

    def forget_known(self) -> None:
        """Free the bytes held since opening."""
        self.known = ()

    def close(self) -> None:
        """Free the bytes held since opening; connections belong to the process."""
        self.forget_known()

    def _read(self, offset: int, length: int, deadline: Deadline | None) -> bytes:
        before, after = b"", b""
        for extent in self.known:
            if extent.offset <= offset < extent.end:
                before = extent.data[offset - extent.offset : offset - extent.offset + length]
            elif offset < extent.offset < offset + length <= extent.end:
                after = extent.data[: offset + length - extent.offset]
        missing = length - len(before) - len(after)
        if not missing:
            return before + after
        request = RangeRequest(self._key, offset + len(before), missing, self._etag, self.size)
        try:
            answer = self._getter.get(request, deadline or self._getter.begin())
        except SlideNotFound as exc:
            raise SlideChanged(f"{self._key} was removed since it was opened") from exc
        return before + answer.data + after
