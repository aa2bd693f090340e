"""The shipped deployment: nginx with our site in front of gunicorn, and the systemd unit."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.live.bucket import ODD_KEYS
from tests.live.servers import REPOSITORY, free_port

SITE = REPOSITORY / "deploy" / "nginx.conf"
UNIT = REPOSITORY / "deploy" / "wsi-streamer.service"


def find(program: str) -> str:
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/bin:/bin")
    if not found:
        pytest.skip(f"no {program} on this machine")
    return found


def make_certificate(folder: Path) -> None:
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=slides.example.org"
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subprocess.run([find("openssl"), *words.split(), *files], check=True, capture_output=True)


class Nginx:
    """nginx with the shipped site; only names, ports and paths of the example are replaced."""

    def __init__(self, folder: Path, upstream_port: int) -> None:
        self.port = free_port()
        self.access_log = folder / "access.log"
        make_certificate(folder)
        site = SITE.read_text()
        for old, new in {
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "127.0.0.1:3000": f"127.0.0.1:{upstream_port}",
            "/etc/ssl/certs/slides.example.org.pem": str(folder / "cert.pem"),
            "/etc/ssl/private/slides.example.org.key": str(folder / "key.pem"),
            "/var/log/nginx/wsi-streamer.log": str(self.access_log),
        }.items():
            assert old in site, old
            site = site.replace(old, new)
        (folder / "site.conf").write_text(site)
        (folder / "nginx.conf").write_text(
            f"pid {folder}/pid; error_log {folder}/error.log; daemon off; events {{}}\n"
            f"http {{ client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
            f"fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;\n"
            f"scgi_temp_path {folder}/scgi; include {folder}/site.conf; }}\n"
        )
        command = [find("nginx"), "-c", str(folder / "nginx.conf")]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("nginx does not listen")

    def get(self, url: str) -> tuple[int, bytes]:
        """Return status and body of a URL, asked of nginx whatever host it names."""
        parts = urlsplit(url)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)
        try:
            connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def nginx(closed_server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    running = Nginx(tmp_path_factory.mktemp("nginx"), closed_server.port)
    yield running
    running.stop()


def test_signed_urls_survive_nginx_whatever_the_name_of_the_slide(nginx, closed_server, bucket):
    for key in (key for key in ODD_KEYS if key in bucket.ids):
        for path in (f"/tiles/{quote(key)}/0/0/0.jpg", f"/tiles/{quote(key, safe='')}/0/0/0.jpg"):
            status, body = nginx.get(closed_server.sign(path, quality="70"))
            assert (status, body[:2]) == (200, b"\xff\xd8"), path


def test_nobody_passes_nginx_without_a_signature(nginx):
    for path in ("/", "/slides", "/view/plain.svs", "/slides/plain.svs", "/tiles/plain.svs/0/0/0"):
        assert nginx.get(path)[0] == 401
    assert nginx.get("/health")[0] == 200


def test_signatures_are_in_no_log(nginx, closed_server):
    url = closed_server.sign("/slides/plain.svs")
    signature = re.search(r"sig=([0-9a-f]{64})", url)
    assert nginx.get(url)[0] == 200
    assert signature
    assert "/slides/plain.svs" in nginx.access_log.read_text()
    for log in (nginx.access_log.read_text(), closed_server.log):
        assert signature[1] not in log


def test_the_systemd_unit_is_valid_and_closed(tmp_path):
    program = find("systemd-analyze")
    # The program of the example is not installed here.
    unit = tmp_path / "wsi-streamer.service"
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    verified = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    scored = [program, "security", "--offline=true", "--threshold=20", str(unit)]
    result = subprocess.run(scored, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-300:]
