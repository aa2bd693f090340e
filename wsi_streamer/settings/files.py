"""Files that settings name: those of secrets, and those that are shipped beside the package."""

import stat
from importlib import metadata
from pathlib import Path

from wsi_streamer.errors import ConfigError


def read_secrets(path: Path) -> list[bytes]:
    """Return the secrets of a file, one a line; raises ConfigError if others may read it."""
    try:
        mode = path.stat().st_mode
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise ConfigError(f"cannot read the secrets in {path}: {exc.strerror}") from exc
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError(f"everybody can read the secrets in {path}: chmod 600 {path}")
    return [line.strip() for line in lines if line.strip()]


def shipped(name: str) -> Path:
    """Return a file or folder that is shipped beside the package: "static".

    In a checkout it lies at the top level. An installed wheel puts it below `share/wsi_streamer`
    of whatever prefix it went to, which only the record of the installation knows.
    """
    checkout = Path(__file__).resolve().parents[2] / name
    if (checkout.parent / "setup.cfg").exists() and checkout.exists():
        return checkout
    wanted = f"share/wsi_streamer/{name}"
    for file in metadata.files("wsi-streamer") or ():
        _, found, after = file.as_posix().partition(wanted)
        if found and after[:1] in ("", "/") and Path(str(file.locate())).exists():
            path = Path(str(file.locate()))
            return path.parents[after.count("/") - 1] if after else path
    # `pip install --target` moves it beside the package and does not write that down.
    beside = Path(__file__).resolve().parents[2] / "share" / "wsi_streamer" / name
    if beside.exists():
        return beside
    raise ConfigError(f"this installation lacks {name}: install wsi-streamer again")
