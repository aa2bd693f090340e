"""The boto3 client of each process, and the conditions under which S3 modules call it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.s3_errors import translated_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_CONNECT_S = 1.0
ATTEMPTS = 3


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

    def config(self) -> Config:
        """Return the settings of botocore; nothing is left to defaults that may change."""
        # Each attempt gets its share of the time, so that three fit into the whole.
        attempt_s = self.timeout_s / ATTEMPTS
        return Config(
            region_name=self.region,
            signature_version=UNSIGNED if self.anonymous else None,
            connect_timeout=min(MAX_CONNECT_S, attempt_s),
            read_timeout=attempt_s,
            max_pool_connections=self.max_pool_connections,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # Servers other than AWS seldom have a host name for each bucket.
            s3={"addressing_style": "path" if self.endpoint_url else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )


class S3Connection:
    """Gives the client of this process, made when first needed and anew after a fork.

    Threads may share a client; processes may not (boto/botocore#1246), and gunicorn forks.
    """

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._pid = 0
        self._call = threading.local()

    def begin(self) -> Deadline:
        """Return the deadline of a question that begins now.

        Making a client takes 0.1 s once for each process, which is not held against the storage.
        """
        with translated_errors("slides"):
            self._client_of_process()
        return Deadline(self._access.timeout_s)

    @contextmanager
    def call(self, key: str, deadline: Deadline) -> Iterator["S3Client"]:
        """Give the client for one call on behalf of `key`; its errors leave translated.

        botocore retries, but begins no attempt after the deadline.
        """
        self._call.deadline = deadline
        with translated_errors(key):
            yield self._client_of_process()

    def _client_of_process(self) -> "S3Client":
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client = self._make_client()
                self._pid = os.getpid()
            return self._client

    def _make_client(self) -> "S3Client":
        client = boto3.session.Session().client(
            "s3", endpoint_url=self._access.endpoint_url, config=self._access.config()
        )
        # An error of ours that is raised here is not retried, and leaves botocore as it is.
        client.meta.events.register("before-send.s3", self._before_attempt)
        client.meta.events.register("before-send.s3.HeadBucket", refuse_head_bucket)
        return client

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
