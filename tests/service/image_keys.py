"""Keys of images for tests: one, and others that differ from it in what a test says."""

from wsi_streamer.service.keys import ImageKey, SlideKeys


def make_key(
    storage: str = "s3://bucket",
    slide_id: str = "a/b.svs",
    version: str = "etag-1",
    kind: str = "tile",
    level: int = 2,
    col: int = 3,
    row: int = 4,
    encoding: str = "jpeg-80",
) -> ImageKey:
    """Return the key of an image."""
    return SlideKeys(storage, slide_id, version).make(kind, level, col, row, encoding)


KEY = make_key()
