"""Answering: one request of a connection, from the parser over the app to the socket."""

# gunicorn ships no types.
# mypy: allow-subclassing-any

import errno
import ssl
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from gunicorn import http, util
from gunicorn.http import wsgi

from wsi_streamer.worker.connection import Connection

# The client went away.
GONE = {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN}


class JoinedResponse(wsgi.Response):
    """gunicorn's response, which sends headers and a body of one piece in one go.

    Names of headers are checked once, values each time.
    """

    headers_sent: bool

    def process_headers(self, headers: Sequence[tuple[str, str]]) -> None:
        """Take over the headers of the app; raises as gunicorn does for those that are none."""
        for header in headers:
            name, value = header
            if is_plain(name) and isinstance(value, str) and wsgi.HEADER_VALUE_RE.fullmatch(value):
                self.headers.append((name, value.strip(" \t")))
            else:
                super().process_headers([header])

    def write(self, arg: bytes) -> None:
        """Send a piece of the body."""
        if self.headers_sent or self.response_length != len(arg) or self._omits_body:
            super().write(arg)
            return
        # As `send_headers` does it.
        fields = [f"{name}: {value}\r\n" for name, value in self.headers]
        head = "".join([*self.default_headers(), *fields, "\r\n"]).encode("latin-1")
        answer = head + arg
        self.headers_sent = True
        self.sent = len(arg)
        self.sock.sendall(answer)


@lru_cache(256)
def is_plain(name: str) -> bool:
    """Say whether a header means nothing to the server that sends it."""
    framing = name.lower() in ("content-length", "connection", "upgrade")
    return not framing and not util.is_hoppish(name) and bool(wsgi.TOKEN_RE.fullmatch(name))


class Answering:
    """Runs the app for the requests of a worker; see `gunicorn.workers.base.Worker`."""

    def __init__(self, worker: Any, before_waiting: Callable[[], None]) -> None:
        self._worker = worker
        self._cfg = worker.cfg
        self._log = worker.log
        self._before_waiting = before_waiting

    def answer(self, connection: Connection) -> bool:
        """Answer the next request; True if the connection may have another one.

        What goes wrong is logged, and answered if nothing was sent yet.
        """
        request = None
        try:
            request = connection.next_request()
            return self._run(request, connection)
        except (http.errors.NoMoreData, StopIteration, TimeoutError, ssl.SSLEOFError) as exc:
            self._log.debug("closing a connection: %s", exc)
        except OSError as exc:
            if exc.errno not in GONE:
                self._log.exception("Socket error processing request.")
        # A thread that ends would take the lead with it.
        except (Exception, SystemExit) as exc:
            self._worker.handle_error(request, connection.sock, connection.client, exc)
        return False

    def _run(self, request: Any, connection: Connection) -> bool:
        worker, cfg = self._worker, self._cfg
        cfg.pre_request(worker, request)
        has_body = getattr(request.body.reader, "length", None) != 0
        if has_body:
            # No view reads it, nobody waits for it, and so the client need not send it.
            request._expected_100_continue = False
        started = datetime.now()
        response, environ = wsgi.create(
            request,
            connection.sock,
            connection.client,
            connection.server,
            cfg,
            response_class=JoinedResponse,
        )
        environ["wsgi.multithread"] = True
        try:
            if not worker.goes_on() or not cfg.keepalive or has_body:
                response.force_close()
            body = worker.wsgi(environ, response.start_response)
            try:
                self._send(body, response, environ)
            finally:
                self._log.access(response, request, environ, datetime.now() - started)
                if hasattr(body, "close"):
                    body.close()
        except OSError:
            raise
        except (Exception, SystemExit) as exc:
            if response.headers_sent:
                # A second answer would look like the rest of the first.
                self._log.exception("Error handling request")
                raise StopIteration from exc
            raise
        finally:
            cfg.post_request(worker, request, environ, response)
        return not response.should_close()

    def _send(self, body: Iterable[bytes], response: Any, environ: dict[str, Any]) -> None:
        if isinstance(body, environ["wsgi.file_wrapper"]):
            self._before_waiting()
            # sendfile(2) would wait for the client.
            body = (b"".join(body),)
        for piece in body:
            response.write(piece)
        response.close()
