"""Asks a server, sending the target exactly as given, and reads what comes back."""

import http.client
import io
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """Status, headers and body; `what` repeats the question for messages of failed tests."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    what: str

    def json(self) -> Any:
        """Return the body as JSON."""
        assert self.headers["Content-Type"] == "application/json", self
        return json.loads(self.body)

    def pixels(self) -> Pixels:
        """Return the picture in the body: (height, width, 3) uint8."""
        assert self.status == 200, self
        assert self.headers["Content-Type"] == "image/jpeg", self
        with Image.open(io.BytesIO(self.body), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))

    def error(self) -> tuple[int, str]:
        """Return status and code of an error in the published shape."""
        document = self.json()
        assert list(document) == ["error", "message", "status"], self
        assert document["status"] == self.status, self
        assert document["message"], self
        return self.status, document["error"]

    @property
    def message(self) -> str:
        """The message of an error."""
        return str(self.json()["message"])

    def __repr__(self) -> str:
        return f"<{self.what[:200]}: {self.status} {dict(self.headers)} {self.body[:300]!r}>"


def ask(
    port: int,
    target: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Return what the server on `port` of this machine answers over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=tls)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, response.headers, body, f"{method} {target}")
    finally:
        connection.close()


def send_raw(port: int, data: bytes, *, timeout_s: float = 10) -> tuple[int, bytes]:
    """Send bytes as they are; return the status (0 for none) and the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    words = answer.split(b" ", 2)
    return (int(words[1]) if words[0].startswith(b"HTTP/1.") else 0), answer


def difference(one: Pixels, other: Pixels) -> float:
    """Return the mean absolute difference of two pictures of the same size, in grey levels."""
    assert one.shape == other.shape, f"{one.shape[1::-1]} is not {other.shape[1::-1]} pixels"
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())
