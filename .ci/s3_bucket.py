"""Start a real S3 server, put files into a bucket, say how to reach it, and wait for the end.

Usage: s3_bucket.py FOLDER FILE...; FOLDER/environ then holds the variables.
"""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.s3_server import S3Server

folder, files = Path(sys.argv[1]), sys.argv[2:]
folder.mkdir(parents=True, exist_ok=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with S3Server() as server:
    client = server.client()
    for file in files:
        client.upload_file(file, "slides", Path(file).name)
    lines = [f"{name}={value}\n" for name, value in server.environ().items()]
    (folder / "environ.new").write_text("".join(lines))
    (folder / "environ.new").rename(folder / "environ")
    signal.pause()
