"""GET requests that botocore has addressed and signed, each used for any number of ranges.

Range and If-Match are no part of the signature (AWS, Authenticating Requests: Using the
Authorization Header), so that an object is signed for once in a while, not once for each tile.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import Credentials, ReadOnlyCredentials

from wsi_streamer.errors import StorageError
from wsi_streamer.storage.http_pool import KeptPool
from wsi_streamer.storage.http_request import host_of, request_head
from wsi_streamer.storage.s3_pool import S3Pool

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 takes a signature for 15 minutes; clocks may differ, and this is often enough to cost nothing.
MAX_AGE_S = 60.0
# Slides that are read at the same time; one takes 2 KB.
MAX_KEPT = 1024


@dataclass(frozen=True, slots=True)
class SignedGet:
    """How to ask for an object: on these connections, by this head.

    `head` is all of it as it is sent, less the empty line.
    """

    pool: KeptPool
    head: bytes
    signed_at: float
    credentials: ReadOnlyCredentials | None


class Prepared(Exception):
    """Carries a request out of botocore, which would send it next."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


def hand_over(request: AWSPreparedRequest, **_: object) -> None:
    """Take over what botocore is about to send; a handler of its event before-send."""
    raise Prepared(request)


class Signer:
    """Signs requests for the objects of a bucket and keeps the last ones that were used.

    A signature is made anew after `MAX_AGE_S`, and as soon as the credentials are others.
    """

    def __init__(
        self,
        client: "S3Client",
        credentials: Credentials | None,
        pool: S3Pool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        client.meta.events.register("before-send.s3.GetObject", hand_over)
        self._client = client
        self._credentials = credentials
        self._pool = pool
        self._clock = clock
        self._lock = threading.Lock()
        self._signing = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], SignedGet] = OrderedDict()

    def sign(self, bucket: str, key: str) -> SignedGet:
        """Return a request for an object; botocore's errors leave as they are."""
        # Credentials that are about to expire are renewed by this call.
        credentials = self._credentials.get_frozen_credentials() if self._credentials else None
        kept = self._find(bucket, key, credentials)
        if kept:
            return kept
        # One at a time, since head and tail of a slide ask for the same signature at once.
        with self._signing:
            return self._find(bucket, key, credentials) or self._sign(bucket, key, credentials)

    def forget(self, bucket: str, key: str) -> None:
        """Sign the next request for an object anew."""
        with self._lock:
            self._kept.pop((bucket, key), None)

    def _find(
        self, bucket: str, key: str, credentials: ReadOnlyCredentials | None
    ) -> SignedGet | None:
        with self._lock:
            kept = self._kept.get((bucket, key))
            if not kept or kept.credentials != credentials:
                return None
            if self._clock() - kept.signed_at >= MAX_AGE_S:
                return None
            self._kept.move_to_end((bucket, key))
            return kept

    def _sign(self, bucket: str, key: str, credentials: ReadOnlyCredentials | None) -> SignedGet:
        now = self._clock()
        try:
            self._client.get_object(Bucket=bucket, Key=key)
        except Prepared as prepared:
            request = prepared.request
        else:
            raise StorageError("botocore does not prepare requests as it should")
        pool, target = self._pool.place(request.url)
        headers = {"Host": host_of(request.url), **reusable_headers(request)}
        # A proxy that is told the host may want to know who asks.
        if not target.startswith("/"):
            headers.update(pool.proxy_headers)
        head = request_head(target, headers)
        signed = SignedGet(pool, head, now, credentials)
        with self._lock:
            self._kept[bucket, key] = signed
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return signed


def reusable_headers(request: AWSPreparedRequest) -> dict[str, str]:
    """Return the headers of a request that hold for all that are made of it."""
    headers = {"Accept-Encoding": "identity"}
    for name, value in request.headers.items():
        # These number the tries of one call of the SDK.
        if not name.lower().startswith("amz-sdk-"):
            headers[name] = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return headers
