"""The short way answers as Flask does, header by header and byte by byte, or leaves it to Flask."""

import logging
import time

import pytest
from gunicorn.config import Config
from gunicorn.http import RequestParser, wsgi

from tests.live.signing import SECRET, in_future, in_past, sign, signed_target, token
from tests.slides import make_svs
from wsi_streamer import errors
from wsi_streamer.api.context import NAME
from wsi_streamer.app import create_app
from wsi_streamer.settings import Settings

TILE = "/tiles/a.svs/0/0/0.jpg"
SECOND = "/tiles/dir/b-~_.1.svs/1/0/0.jpg"
WRONG = "0" * 64
AUTH = {"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET": SECRET}
# Answered by the lane, if only by an error that Flask words.
IN_LANE = [
    TILE,
    f"{TILE}?",
    SECOND,
    "/tiles/a.svs/1/0/0.jpg",
    f"{TILE}?exp=1",
    f"{TILE}?sig=ab&exp=1&vt=cd&",
    # Errors.
    "/tiles/nope.svs/0/0/0.jpg",
    "/tiles/a.svs/9/0/0.jpg",
    "/tiles/a.svs/0/999999999/0.jpg",
    "/tiles/../0/0/0.jpg",
    "/tiles/dir/../a.svs/0/0/0.jpg",
    "/tiles/./a.svs/0/0/0.jpg",
    "/tiles/a.svs/0/0/0/0/0.jpg",
    "/tiles/a.svs/a.svs/0/0/0.jpg",
    "/tiles/a.txt/0/0/0.jpg",
    "/tiles/broken.svs/0/0/0.jpg",
]
# Flask's from the beginning.
NOT_IN_LANE = [
    f"{TILE}?quality=50",
    f"{TILE}?quality=0",
    f"{TILE}?x=1",
    f"{TILE}?&exp=1",
    f"{TILE}?sig=%61",
    f"{TILE}?exp=1?sig=ab",
    f"{TILE}#x",
    f"/{TILE}",
    f"http://x{TILE}",
    f"{TILE}/",
    f"{TILE}.jpg",
    "/tiles/a.svs/0/0/0",
    "/tiles/a.svs/0/0/0.png",
    "/tiles/a.svs/0/0/0.JPG",
    "/tiles/a%2Esvs/0/0/0.jpg",
    "/tiles/dir%2Fb-~_.1.svs/1/0/0.jpg",
    "/tiles//a.svs/0/0/0.jpg",
    "/tiles/dir//b-~_.1.svs/1/0/0.jpg",
    "/tiles/a.svs/00/0/0.jpg",
    "/tiles/a.svs/0/01/0.jpg",
    "/tiles/a.svs/-1/0/0.jpg",
    "/tiles/a.svs/0/-0/0.jpg",
    "/tiles/a.svs/0/1000000000/0.jpg",
    f"/tiles/a.svs/0/{'9' * 200}/0.jpg",
    "/tiles/a.svs/x/0/0.jpg",
    "/tiles/a.svs/0/0.jpg",
    "/tiles/0/0/0.jpg",
    "/tiles/a%00.svs/0/0/0.jpg",
    "/tiles/%FF.svs/0/0/0.jpg",
    "/health",
    "/slides/a.svs",
    "/nowhere",
]


class App:
    """The app, asked the short way and Flask's, and which of both it took."""

    def __init__(self, folder, **env):
        env = {"WSI_SOURCE": str(folder), "WSI_CACHE_DIR": str(folder.parent / "cache"), **env}
        flask = create_app(Settings.from_env(env))
        self.service = flask.extensions[NAME].service
        self.lane = flask.wsgi_app
        self.whole = self.lane._app
        self.lane._app = self._spy
        self.failures = []

    def _spy(self, environ, start_response):
        self.failures.append(environ.get("wsi_streamer.failed"))
        return self.whole(environ, start_response)

    def both(self, target, *lines, method="GET", script_name=""):
        """Return the answers of the lane and of Flask, once the tile is in memory."""
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *lines, "", ""])
        ask(self.whole, head, script_name)
        self.failures.clear()
        return ask(self.lane, head, script_name), ask(self.whole, head, script_name)

    @property
    def left_to_flask(self):
        return self.failures == [None]


def ask(app, head, script_name):
    """Return status, headers and body of the answer to a request as gunicorn reads it."""
    request = next(RequestParser(Config(), iter([head.encode()]), ("192.0.2.7", 40_000)))
    _, environ = wsgi.create(request, None, ("192.0.2.7", 40_000), ("127.0.0.1", 80), Config())
    if script_name:
        environ["SCRIPT_NAME"] = script_name
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(script_name)
    started = []
    body = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    data = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    ((status, headers),) = started
    return status, sorted(headers), data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lane") / "slides"
    (folder / "dir").mkdir(parents=True)
    make_svs(folder / "a.svs")
    make_svs(folder / "dir" / "b-~_.1.svs")
    (folder / "broken.svs").write_text("no slide")
    return folder


@pytest.fixture(scope="module")
def app(folder):
    return App(folder)


@pytest.fixture(scope="module")
def signed(folder):
    return App(folder, **AUTH)


@pytest.mark.parametrize("target", IN_LANE)
def test_a_plain_tile_is_answered_as_flask_would(app, target):
    lane, whole = app.both(target)
    assert lane == whole
    assert not app.left_to_flask


@pytest.mark.parametrize("target", NOT_IN_LANE)
def test_everything_else_is_left_to_flask(app, target):
    lane, whole = app.both(target)
    assert lane == whole
    assert app.left_to_flask


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "DELETE", "TRACE", "GETS"])
def test_other_methods_are_left_to_flask(app, method):
    lane, whole = app.both(TILE, method=method)
    assert lane == whole
    assert app.left_to_flask


def test_a_tile_in_memory_needs_no_flask(app):
    (status, _, data), _ = app.both(TILE)
    assert (status, data[:2]) == ("200 OK", b"\xff\xd8")
    assert not app.failures


def test_a_mounted_app_answers_for_the_path_that_it_sees(app):
    lane, whole = app.both(TILE, script_name="/tiles")
    assert lane == whole
    assert lane[0].startswith("404")
    assert app.left_to_flask


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "W/{}",
        '"x", {}',
        '"x",W/{} ,"y"',
        "*",
        " * ",
        '"x"',
        "",
        "x",
        '"',
        "{}x",
        '"a, {}',
    ],
)
@pytest.mark.parametrize("target", [TILE, "/tiles/nope.svs/0/0/0.jpg", "/tiles/a.svs/9/0/0.jpg"])
def test_a_client_that_has_the_tile_is_told_the_same(app, target, form):
    etag = dict(app.both(TILE)[0][1])["ETag"]
    lane, whole = app.both(target, f"If-None-Match: {form.format(etag)}")
    assert lane == whole


def test_several_lines_of_what_a_client_has_count_as_one(app):
    etag = dict(app.both(TILE)[0][1])["ETag"]
    lane, whole = app.both(TILE, 'If-None-Match: "x"', f"If-None-Match: {etag}")
    assert lane == whole
    assert (lane[0], lane[2]) == ("304 NOT MODIFIED", b"")


@pytest.mark.parametrize(
    "line",
    [
        "Range: bytes=0-9",
        "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT",
        "Origin: https://viewer.example",
        "Origin: https://stranger.example",
        "X-HTTP-Method-Override: DELETE",
        "Content-Length: 5",
        "Content-Type: application/json",
        "Access-Control-Request-Method: GET",
        "X-Forwarded-Prefix: /a",
        "Accept: text/html",
    ],
)
@pytest.mark.parametrize("origins", ["*", "https://viewer.example, https://other.example"])
def test_headers_make_the_difference_that_they_make_for_flask(folder, origins, line):
    app = App(folder, WSI_CORS_ORIGINS=origins, WSI_CACHE_MAX_AGE="7")
    for target in (TILE, "/tiles/nope.svs/0/0/0.jpg"):
        lane, whole = app.both(target, line)
        assert lane == whole
        assert not app.left_to_flask


def queries():
    """Make the queries with which somebody might come, right and wrong."""
    exp = in_future()
    signature, vt = sign(TILE, {}, exp), token("a.svs", exp)
    expired = in_past()
    return {
        "signed": f"exp={exp}&sig={signature}",
        "signed, other order": f"sig={signature}&exp={exp}",
        "signed, &": f"sig={signature}&exp={exp}&",
        "token": f"vt={vt}&exp={exp}",
        "both": f"vt={vt}&exp={exp}&sig={signature}",
        "nothing": "",
        "upper case": f"exp={exp}&sig={signature.upper()}",
        "wrong": f"exp={exp}&sig={WRONG}",
        "other time": f"exp={exp + 1}&sig={signature}",
        "expired": f"exp={expired}&sig={sign(TILE, {}, expired)}",
        "token, expired": f"exp={expired}&vt={token('a.svs', expired)}",
        "token of another": f"exp={exp}&vt={token('b.svs', exp)}",
        "no time": f"sig={signature}",
        "time only": f"exp={exp}",
        "time twice": f"exp={exp}&exp={exp}&sig={signature}",
        "time in hex": f"exp=ff&sig={signature}",
        "time, 0": f"exp=0{exp}&sig={signature}",
        "time, long": f"exp={'9' * 99}&sig={signature}",
        "signature twice": f"exp={exp}&sig={signature}&sig={signature}",
        "signature as token": f"exp={exp}&vt={signature}",
        "odd digits": f"exp={exp}&sig=abc",
        "more signed": signed_target(TILE, {"quality": "50"}).partition("?")[2],
        "more, not signed": f"exp={exp}&sig={signature}&quality=50",
    }


@pytest.mark.parametrize("name", queries())
@pytest.mark.parametrize("path", [TILE, SECOND, "/tiles/nope.svs/0/0/0.jpg"])
def test_who_may_not_pass_flask_does_not_pass_here(signed, monkeypatch, path, name):
    # A second that ends between two answers would make them differ.
    now = time.time()
    monkeypatch.setattr(signed.lane._context.authenticator, "_now", lambda: now)
    query = queries()[name]
    lane, whole = signed.both(f"{path}?{query}")
    assert lane == whole
    opens = {"signed", "signed, other order", "token", "more signed"}
    assert (lane[0] == "200 OK") is (path == TILE and name in opens)


def every_error():
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.WsiError) and kind != errors.WsiError
    ]


@pytest.mark.parametrize(
    "error",
    [*every_error(), ValueError, KeyError, MemoryError, RecursionError, OSError, TimeoutError],
)
def test_every_error_is_answered_and_logged_as_by_flask(app, monkeypatch, caplog, error):
    def fail(*args):
        raise error("what went wrong")

    monkeypatch.setattr(app.service, "tile", fail)
    caplog.set_level(logging.INFO, "wsi_streamer")
    lane, whole = app.both(TILE)
    assert lane == whole
    assert isinstance(app.failures[0], error)
    # Asked three times, once the short way.
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) in (0, 3)
    assert len(set(lines)) <= 1
