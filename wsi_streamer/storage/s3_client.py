"""What each process needs to talk to S3, and the conditions under which S3 modules use it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.parallel import Parallel
from wsi_streamer.storage.retries import TRIES
from wsi_streamer.storage.s3_errors import translated_errors
from wsi_streamer.storage.s3_pool import S3Pool
from wsi_streamer.storage.s3_signing import Signer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_CONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach an S3-compatible storage; without `endpoint_url`, AWS."""

    endpoint_url: str | None
    region: str
    anonymous: bool
    timeout_s: float
    max_pool_connections: int

    @property
    def endpoint(self) -> str:
        """The storage as people know it."""
        return self.endpoint_url or f"AWS S3 ({self.region})"

    @property
    def attempt_s(self) -> float:
        """The share of one attempt, so that three fit into the whole."""
        return self.timeout_s / TRIES

    @property
    def connect_s(self) -> float:
        """How long a connection may take to make."""
        return min(MAX_CONNECT_S, self.attempt_s)

    def config(self) -> Config:
        """Return the settings of botocore; nothing is left to defaults that may change."""
        return Config(
            region_name=self.region,
            signature_version=UNSIGNED if self.anonymous else None,
            connect_timeout=self.connect_s,
            read_timeout=self.attempt_s,
            max_pool_connections=self.max_pool_connections,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            # Servers other than AWS seldom have a host name for each bucket.
            s3={"addressing_style": "path" if self.endpoint_url else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )


@dataclass(frozen=True, slots=True)
class S3Process:
    """What one process has of its own; threads may share it."""

    pid: int
    client: "S3Client"
    signer: Signer
    parallel: Parallel


class S3Connection:
    """Gives the client, the signer and the threads of this process.

    They are made when first needed and anew after a fork: threads may share a client, processes
    may not (boto/botocore#1246), and gunicorn forks.
    """

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._process: S3Process | None = None
        self._call = threading.local()

    @property
    def access(self) -> S3Access:
        """How the storage is reached."""
        return self._access

    def begin(self) -> Deadline:
        """Return the deadline of a question that begins now.

        Making a client takes 0.1 s once for each process, which is not held against the storage.
        """
        self._of_process()
        return Deadline(self._access.timeout_s)

    @contextmanager
    def call(self, key: str, deadline: Deadline) -> Iterator["S3Client"]:
        """Give the client for one call on behalf of `key`; its errors leave translated.

        botocore retries, but begins no attempt after the deadline.
        """
        self._call.deadline = deadline
        with translated_errors(key):
            yield self._of_process().client

    def signer(self, deadline: Deadline) -> Signer:
        """Return what signs requests; renewing credentials may take until the deadline."""
        self._call.deadline = deadline
        return self._of_process().signer

    def parallel(self) -> Parallel:
        """Return the threads that wait for several answers at once."""
        return self._of_process().parallel

    def _of_process(self) -> S3Process:
        with self._lock:
            if self._process is None or self._process.pid != os.getpid():
                with translated_errors("slides"):
                    self._process = self._make_process()
            return self._process

    def _make_process(self) -> S3Process:
        access = self._access
        session = botocore.session.get_session()
        client = boto3.session.Session(botocore_session=session).client(
            "s3", endpoint_url=access.endpoint_url, config=access.config()
        )
        # An error of ours that is raised here is not retried, and leaves botocore as it is.
        client.meta.events.register("before-send.s3", self._before_attempt)
        client.meta.events.register("before-send.s3.HeadBucket", refuse_head_bucket)
        pool = S3Pool(session, access.max_pool_connections)
        credentials = None if access.anonymous else session.get_credentials()
        return S3Process(
            os.getpid(),
            client,
            Signer(client, credentials, pool),
            Parallel(access.max_pool_connections),
        )

    def _before_attempt(self, **_: object) -> None:
        deadline: Deadline = self._call.deadline
        deadline.check()


def refuse_head_bucket(**_: object) -> None:
    """Keep botocore from asking where a bucket lies.

    It does so for any redirect that does not say it, and handles a redirect of that question
    by the same question, until the recursion limit (S3RegionRedirectorv2 in botocore 1.44). AWS
    says it in a header, so that nothing is lost.
    """
    raise ClientError(
        {
            "ResponseMetadata": {
                "RequestId": "",
                "HostId": "",
                "HTTPStatusCode": 301,
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            }
        },
        "HeadBucket",
    )
