"""The versions of installed packages, of this environment or of that of the peers."""

import subprocess
from collections.abc import Sequence
from importlib.metadata import version

from bench.peers.base import PYTHON

SCRIPT = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"


def own_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages of this environment."""
    return {package: version(package) for package in packages}


def peer_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages of the peers' environment."""
    done = subprocess.run(
        [str(PYTHON), "-c", SCRIPT, *packages], capture_output=True, text=True, check=True
    )
    return dict(zip(packages, done.stdout.split(), strict=True))
