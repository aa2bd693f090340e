"""Who asks, and through what: signatures, credentials that rotate, certificates, proxies."""

import json
import random
import re
import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.session
import pytest
from urllib3.connection import HTTPConnection

from tests.faulty_s3 import Fault, FaultyS3
from wsi_streamer.errors import StorageError, StorageUnreachable
from wsi_streamer.storage import s3_signing
from wsi_streamer.storage.http_pool import KeptPool
from wsi_streamer.storage.s3 import FIRST_CONNECTIONS, S3Storage
from wsi_streamer.storage.s3_pool import S3Pool
from wsi_streamer.storage.s3_signing import MAX_AGE_S, Signer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "case 1/slide.svs"
DATA = random.Random(7).randbytes(300_000)
MakeSigner = Callable[[Callable[[], float]], Signer]


@pytest.fixture(scope="module")
def running() -> Iterator[FaultyS3]:
    with FaultyS3({}) as server:
        yield server


@pytest.fixture
def server(running: FaultyS3) -> FaultyS3:
    running.reset({KEY: DATA, "other.svs": DATA})
    return running


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def make_storage(endpoint: str, anonymous: bool = False) -> S3Storage:
    return S3Storage(
        FaultyS3.bucket,
        "",
        endpoint_url=endpoint,
        region="us-east-1",
        anonymous=anonymous,
        timeout_s=4.0,
    )


def wait_for_spares() -> None:
    for thread in threading.enumerate():
        if thread.name == "spares":
            thread.join()


def signatures(server: FaultyS3) -> list[str]:
    return [request.authorization for request in server.requests]


@pytest.mark.usefixtures("_keys")
def test_the_tiles_of_a_slide_share_one_signature(server: FaultyS3) -> None:
    storage = make_storage(server.endpoint)
    for key in (KEY, "other.svs"):
        reader = storage.open(key, tail_bytes=100)
        for offset in range(100_000, 200_000, 10_000):
            reader.read(offset, 500)

    assert len(server.requests) == 2 * 12
    assert len(set(signatures(server))) == 2
    signed = {re.search("SignedHeaders=([^,]*)", text) for text in signatures(server)}
    assert {match[1] for match in signed if match} == {"host;x-amz-content-sha256;x-amz-date"}


def test_anonymous_readers_sign_nothing(server: FaultyS3) -> None:
    make_storage(server.endpoint, anonymous=True).open(KEY).read(100_000, 10)

    assert set(signatures(server)) == {""}


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("fault", [Fault.EXPIRED_TOKEN, Fault.SKEWED_CLOCK], ids=str)
def test_a_signature_that_went_stale_is_made_anew(server: FaultyS3, fault: Fault) -> None:
    reader = make_storage(server.endpoint).open(KEY)
    server.requests.clear()
    server.plan.append(fault)

    assert reader.read(100_000, 500) == DATA[100_000:100_500]
    assert len(server.requests) == 2


@pytest.mark.usefixtures("_keys")
def test_a_bucket_in_another_region_is_found_if_it_says_where_it_lies(server: FaultyS3) -> None:
    storage = make_storage(server.endpoint)
    storage.open(KEY)
    server.move_to("eu-central-1")

    assert storage.open(KEY).read(100_000, 500) == DATA[100_000:100_500]
    assert "/eu-central-1/s3/" in server.requests[-1].authorization
    server.requests.clear()
    assert storage.open("other.svs").read(100_000, 500) == DATA[100_000:100_500]
    assert len(server.requests) == 2, "what was learned holds for all slides of the bucket"


def test_credentials_that_rotate_are_followed(
    server: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = tmp_path / "issued.json"
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = cat {issued}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    issue(issued, "first")
    reader = make_storage(server.endpoint).open(KEY)
    reader.read(100_000, 500)
    issue(issued, "second")
    reader.read(100_000, 500)

    assert [request.token for request in server.requests] == ["first", "first", "second"]
    assert ["first" in text for text in signatures(server)] == [True, True, False]


def issue(file: Path, name: str) -> None:
    """Write credentials that expire so soon that botocore asks again each time."""
    expires = datetime.now(UTC) + timedelta(minutes=5)
    credentials = {
        "Version": 1,
        "AccessKeyId": f"key-{name}",
        "SecretAccessKey": "secret",
        "SessionToken": name,
        "Expiration": expires.isoformat(),
    }
    file.write_text(json.dumps(credentials))


def test_credentials_that_cannot_be_renewed_are_reported_as_such(
    server: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = false\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    with pytest.raises(StorageError, match="no valid credentials"):
        make_storage(server.endpoint).open(KEY)
    assert server.requests == []


@pytest.fixture(scope="module")
def signing() -> Iterator[MakeSigner]:
    session = botocore.session.get_session()
    client: S3Client = session.create_client(
        "s3",
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="secret",
    )
    pool = S3Pool(session, 1)
    yield lambda clock: Signer(client, None, pool, clock)
    client.close()


def test_a_signature_is_used_for_a_minute(signing: MakeSigner) -> None:
    now = 1000.0
    signer = signing(lambda: now)
    first = signer.sign("slides", KEY)

    now += MAX_AGE_S - 1
    assert signer.sign("slides", KEY) is first
    now += 1
    assert signer.sign("slides", KEY) is not first


def test_signatures_of_many_slides_do_not_fill_the_memory(
    signing: MakeSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_signing, "MAX_KEPT", 3)
    signer = signing(lambda: 0.0)
    first = signer.sign("slides", "0.svs")
    for i in range(1, 4):
        signer.sign("slides", f"{i}.svs")

    assert signer.sign("slides", "1.svs") is signer.sign("slides", "1.svs")
    assert signer.sign("slides", "0.svs") is not first


def test_botocore_says_where_a_bucket_of_aws_is_reached(signing: MakeSigner) -> None:
    signed = signing(lambda: 0.0).sign("slides", "a b/ü+%?#.svs")

    assert signed.pool.host == "slides.s3.eu-central-1.amazonaws.com"
    assert signed.pool.scheme == "https"
    assert signed.head.startswith(b"GET /a%20b/%C3%BC%2B%25%3F%23.svs HTTP/1.1\r\n")
    assert b"\r\namz-sdk" not in signed.head.lower()


@pytest.mark.usefixtures("_keys")
def test_a_proxy_of_the_environment_is_used(
    server: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.endpoint)
    monkeypatch.setenv("http_proxy", server.endpoint)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")

    reader = make_storage("http://storage.invalid:9000").open(KEY)

    assert reader.read(100_000, 500) == DATA[100_000:100_500]
    assert len(server.requests) == 2, "there is no such host: all came through the proxy"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a certificate for 127.0.0.1, and for no name, that nobody knows."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("TLS is tried with a certificate made by openssl, which is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=storage", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem"


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[FaultyS3]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with FaultyS3({KEY: DATA}, context) as server:
        yield server


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_slides_come_over_tls_from_a_storage_with_its_own_authority(
    tls_server: FaultyS3, certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(certificate))
    storage = make_storage(tls_server.endpoint)
    reader = storage.open(KEY, tail_bytes=1000)

    assert reader.read(100_000, 70_000) == DATA[100_000:170_000]
    assert reader.version == storage.stat(KEY)
    assert len({request.connection for request in tls_server.requests}) <= 3


@pytest.mark.usefixtures("_keys")
def test_connections_made_ahead_are_of_use_over_tls(
    tls_server: FaultyS3, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    connects: list[str] = []
    connect = KeptPool.connect

    def note(pool: KeptPool, connection: HTTPConnection, timeout_s: float) -> None:
        connects.append(threading.current_thread().name)
        connect(pool, connection, timeout_s)

    monkeypatch.setattr(KeptPool, "connect", note)
    storage = make_storage(tls_server.endpoint)
    storage.prepare()
    wait_for_spares()

    # The tickets that the server sent meanwhile are no reason to close them.
    assert storage.open(KEY, tail_bytes=1000).read(100_000, 70_000) == DATA[100_000:170_000]
    assert set(connects) == {"spares"}


class Tunnel(socketserver.BaseRequestHandler):
    """A proxy that connects to where it is told, and carries what it cannot read."""

    def handle(self) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += self.request.recv(4096)
        host, port = asked.split()[1].decode().split(":")
        with socket.create_connection((host, int(port))) as far:
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {self.request: far, far: self.request}
            while True:
                for one in select.select(list(ends), [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    ends[one].sendall(data)


@pytest.fixture
def tunnels() -> Iterator[str]:
    """Return the address of a proxy."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("_keys")
def test_connections_made_ahead_go_through_a_proxy_as_all_others_do(
    tls_server: FaultyS3, certificate: Path, tunnels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, tunnels)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    proxied: list[int] = []
    handle = Tunnel.handle

    def note(tunnel: Tunnel) -> None:
        proxied.append(1)
        handle(tunnel)

    monkeypatch.setattr(Tunnel, "handle", note)
    storage = make_storage(tls_server.endpoint)
    storage.prepare()
    wait_for_spares()

    reader = storage.open(KEY, tail_bytes=1000)
    assert reader.read(100_000, 70_000) == DATA[100_000:170_000]
    assert len(proxied) == FIRST_CONNECTIONS


@pytest.mark.usefixtures("_keys")
def test_a_certificate_of_an_unknown_authority_is_refused(tls_server: FaultyS3) -> None:
    with pytest.raises(StorageUnreachable):
        make_storage(tls_server.endpoint).open(KEY)
    assert tls_server.requests == []


@pytest.mark.usefixtures("_keys")
def test_a_certificate_for_another_host_is_refused(
    tls_server: FaultyS3, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "localhost")

    with pytest.raises(StorageUnreachable):
        make_storage(tls_server.endpoint.replace("127.0.0.1", "localhost")).open(KEY)
    assert tls_server.requests == []


@pytest.mark.usefixtures("_keys")
def test_certificates_that_are_not_there_are_reported_as_such(
    tls_server: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))

    with pytest.raises(StorageError, match="AWS_CA_BUNDLE"):
        make_storage(tls_server.endpoint).open(KEY)
