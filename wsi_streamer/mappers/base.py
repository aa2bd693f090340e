"""What a mapper answers."""

from dataclasses import dataclass
from typing import Protocol

from wsi_streamer.model.page import Page
from wsi_streamer.storage.base import Storage


@dataclass(frozen=True, slots=True)
class SlideLocation:
    """Where the bytes of a slide lie."""

    storage: Storage
    key: str


class Mapper(Protocol):
    """Knows which slides there are."""

    def prepare(self) -> None:
        """Make ahead what the first request of a process would have to wait for; never raises."""

    def locate(self, slide_id: str) -> SlideLocation:
        """Return where a slide is stored; raises SlideNotFound for an id that no slide can have.

        The object itself need not exist.
        """

    def list(self, *, prefix: str, search: str, after: str, limit: int) -> Page:
        """Return up to `limit` slide ids after `after`, in ascending order of their bytes.

        Ids begin with `prefix` and contain `search`, whatever its case. Fewer than `limit` with
        a next page mean that the search was cut short.
        """
