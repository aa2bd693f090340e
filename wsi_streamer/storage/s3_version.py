"""The version of an object in S3: its ETag and size, as a text that can be taken apart again."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class S3Version:
    """An ETag, as the storage wrote it, and a size in bytes."""

    etag: str
    size: int

    @property
    def text(self) -> str:
        """The version as one text: "9b2cf535f27731c974343645a3985328-1048576".

        Quotes, which nearly every ETag has, are left out; any other ETag stands behind "=".
        """
        plain = re.fullmatch('"([0-9A-Za-z][^"]*)"', self.etag)
        return f"{plain[1] if plain else '=' + self.etag}-{self.size}"


def parse_version(text: str) -> S3Version:
    """Return the version that a text was made of; raises ValueError if it was not."""
    match = re.fullmatch("([^\r\n]+)-([0-9]{1,18})", text)
    if not match:
        raise ValueError("not the version of an object in S3")
    tag = match[1]
    version = S3Version(tag[1:] if tag.startswith("=") else f'"{tag}"', int(match[2]))
    if version.text != text:
        raise ValueError("not the version of an object in S3")
    return version
