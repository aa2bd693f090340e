"""The check of every range before it is read."""

from wsi_streamer.errors import StorageReadError


def check_range(offset: int, length: int, size: int) -> None:
    """Raise StorageReadError unless the range lies in an object of `size` bytes."""
    if offset < 0 or length < 0 or offset + length > size:
        raise StorageReadError(f"{length} bytes from {offset} do not lie in an object of {size}")
