"""The keys of a folder in the order of S3, found without walking what is not asked for.

A folder "a" sorts as "a/", which is how its files begin: "a.svs" comes before "a/1.svs". Comparing
text compares code points, which is the order of the UTF-8 bytes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from wsi_streamer.storage.keys import is_key


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder under way; `key` is "" or ends with a slash.

    `above` holds device and inode of the folder itself and those above it: a symbolic link to
    one of them would go round for ever.
    """

    path: str
    key: str
    above: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Keys that begin with `prefix` and come after `after`."""

    prefix: str
    after: str

    def has(self, key: str) -> bool:
        """Say whether a key is wanted; one with a slash at its end, whether one below it may be."""
        if key.endswith("/"):
            begins = key.startswith(self.prefix) or self.prefix.startswith(key)
            return begins and (key > self.after or self.after.startswith(key))
        return key.startswith(self.prefix) and key > self.after


def walk_keys(root: str, wanted: Wanted) -> Iterator[str]:
    """Yield the keys of the files below `root`, a real path, in ascending order.

    Left out are hidden names, names that no key can have, and links that lead outside. What
    vanishes or denies access on the way is left out too; OSError is for the root alone.
    """
    top = Folder(root, "", frozenset({_identity(os.stat(root))}))
    with os.scandir(root):
        stack = [_entries(top, root, wanted)]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, Folder):
            stack.append(_entries(found, root, wanted))
        else:
            yield found


def is_below(root: str, path: str) -> bool:
    """Say whether a real path is `root`, itself a real path, or lies below it."""
    return os.path.commonpath([root, path]) == root


def _entries(folder: Folder, root: str, wanted: Wanted) -> Iterator[Folder | str]:
    """Yield what a folder holds, in the order of keys: folders to go through, keys of files."""
    try:
        with os.scandir(folder.path) as scan:
            keyed = ((_key(folder, entry), entry) for entry in scan if entry.name[0] != ".")
            found = [(key, entry) for key, entry in keyed if wanted.has(key)]
    except OSError:
        return
    for key, entry in sorted(found, key=itemgetter(0)):
        if not is_key(key.removesuffix("/")) or not _stays_inside(entry, root):
            continue
        if not key.endswith("/"):
            if _is_file(entry):
                yield key
        elif inner := _enter(folder, key, entry):
            yield inner


def _key(folder: Folder, entry: os.DirEntry[str]) -> str:
    try:
        ending = "/" if entry.is_dir() else ""
    except OSError:
        ending = ""
    return f"{folder.key}{entry.name}{ending}"


def _stays_inside(entry: os.DirEntry[str], root: str) -> bool:
    return not entry.is_symlink() or is_below(root, os.path.realpath(entry.path))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _enter(folder: Folder, key: str, entry: os.DirEntry[str]) -> Folder | None:
    try:
        identity = _identity(os.stat(entry.path))
    except OSError:
        return None
    if identity in folder.above:
        return None
    return Folder(entry.path, key, folder.above | {identity})


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
