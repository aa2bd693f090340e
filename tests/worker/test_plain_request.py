"""Plain requests are read as gunicorn reads them, or left to it: nobody can smuggle one past it."""

import time

import pytest
from gunicorn.config import Config
from gunicorn.http import RequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsi_streamer.worker.plain_request import PlainHeads

CLIENT = ("192.0.2.7", 40_000)
LINE = b"GET /tiles/a.svs/0/1/2.jpg?sig=ab&exp=1 HTTP/1.1\r\n"
BROWSER = (
    b"Host: slides.example:3000\r\n"
    b"Connection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0\r\n"
    b"Accept: image/avif,image/webp,*/*;q=0.8\r\n"
    b'If-None-Match: W/"abc",\t"def"\r\n'
    b"Empty:\r\n"
)
NAMES = [b"Host", b"Accept", b"Connection", b"Content-Length", b"Content-Type", b"X-Forwarded-For"]
NAMES += [b"Transfer-Encoding", b"Expect", b"X-Forwarded-Proto", b"Script_Name", b"A B", b"x-y"]
VALUES = [b"", b"a", b"keep-alive", b"Keep-Alive", b"close", b"5", b"chunked", b"100-continue"]
VALUES += [b"https", b"a: b", b"\t a \t", b"a\rb", b"a\nb", b"\xe9", b"a\x00"]
PIECES = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\x00", b"\r\n\r\n", b"GET", b"/", b"?", b"#"]
PIECES += [b"X: c\r\n", LINE]


FIELDS = st.builds(
    lambda *parts: b"".join(parts),
    st.sampled_from(NAMES),
    st.sampled_from([b":", b": ", b" :", b":\t"]),
    st.sampled_from(VALUES),
    st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r\n "]),
)
TARGETS = st.one_of(
    st.sampled_from(
        [b"/", b"/a", b"//a", b"/a#b", b"http://h/a", b"*", b"/%2F", b"/?", b"/[", b""]
    ),
    st.text("/?#;:@[]%.a\\\"'{}|^~", max_size=8).map(lambda text: b"/" + text.encode()),
)
HEADS = st.builds(
    lambda *parts: b"".join(parts),
    st.sampled_from([b"GET "] * 6 + [b"HEAD ", b"get ", b"\r\nGET ", b"GET  "]),
    TARGETS,
    st.sampled_from([b" HTTP/1.1\r\n"] * 6 + [b" HTTP/1.0\r\n", b"\r\n", b" HTTP/1.1\n"]),
    st.lists(FIELDS, max_size=5).map(b"".join),
    st.sampled_from([b"\r\n"] * 6 + [b"\r\n" + LINE, b"\r\nGE", b"\r\nX: c\r\nGE", b"\n", b""]),
)


@st.composite
def damaged(draw, heads=HEADS):
    """Put something where it does not belong, and take something away."""
    head = draw(heads)
    at = draw(st.integers(0, len(head)))
    return head[:at] + draw(st.sampled_from(PIECES)) + head[at + draw(st.integers(0, 3)) :]


def what_gunicorn_reads(head, config):
    parser = RequestParser(config, iter([head]), CLIENT)
    request = next(parser)
    return parts(request) | {"body": request.body.read(), "rest": parser.unreader.read()}


def parts(request):
    names = "method uri path query fragment version headers trailers scheme peer_addr remote_addr"
    found = {name: getattr(request, name) for name in f"{names} proxy_protocol_info".split()}
    return found | {
        "closes": request.should_close(),
        "expects": request._expected_100_continue,
    }


@settings(max_examples=400, deadline=None, derandomize=True)
@given(head=st.one_of(HEADS, damaged()))
@example(LINE + BROWSER + b"\r\n")
@example(LINE + b"Host: a\r\n\r\nX: c\r\nGE")
@example(LINE + b"Host: a\r\n\r\nGET /")
def test_a_plain_request_is_what_gunicorn_reads_in_the_same_bytes(head):
    config = Config()
    request = PlainHeads(config, CLIENT).find_request(head)
    if request is not None:
        seen = parts(request) | {"body": request.body.read(), "rest": b""}
        assert seen == what_gunicorn_reads(head, config)


@pytest.mark.parametrize("fields", [b"", b"Host: a\r\n", BROWSER])
def test_what_browsers_send_for_a_tile_is_read_the_short_way(fields):
    assert PlainHeads(Config(), CLIENT).find_request(LINE + fields + b"\r\n")


@pytest.mark.parametrize(
    "head",
    [
        # Requests behind it.
        LINE + b"\r\n" + LINE + b"\r\n",
        LINE + b"Host: a\r\n\r\nGET /",
        LINE + b"Host: a\r\n\r\nX: c\r\nGE",
        LINE + b"\r\n\r\n",
        b"\r\n" + LINE + b"\r\n",
        # Names and lines that are none.
        LINE + b"Foo Bar: x\r\n\r\n",
        LINE + b"Transfer_Encoding: chunked\r\n\r\n",
        LINE + b"Transfer-Encoding : a:chunked\r\n\r\n",
        LINE + b"\x00Host: a\r\n\r\n",
        LINE + b"A: b\r\n Host: c\r\n\r\n",
        LINE + b"A: b\nHost: c\r\n\r\n",
        LINE + b"A: b\rHost: c\r\n\r\n",
        LINE + b"A: \xe9\r\n\r\n",
        LINE + b"A: \x7f\r\n\r\n",
        LINE + b": a\r\n\r\n",
        # Whose is it?
        LINE + b"Host: a\r\nHost: a\r\n\r\n",
        # What the server acts upon.
        LINE + b"Content-Length: 0\r\n\r\n",
        LINE + b"content-length: 5\r\n\r\n",
        LINE + b"Transfer-Encoding: chunked\r\n\r\n",
        LINE + b"Expect: 100-continue\r\n\r\n",
        LINE + b"Upgrade: h2c\r\n\r\n",
        LINE + b"Connection: close\r\n\r\n",
        LINE + b"Connection: CLOSE\r\n\r\n",
        LINE + b"Connection: keep-alive, Upgrade\r\n\r\n",
        LINE + b"X-Forwarded-Proto: https\r\n\r\n",
        LINE + b"Script-Name: /a\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n",
        # Other targets, methods and versions.
        b"GET //a HTTP/1.1\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\n\r\n",
        b"GET http://a/b HTTP/1.1\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /a\x00 HTTP/1.1\r\n\r\n",
        b"HEAD /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.0\r\n\r\n",
        b"GET /" + b"a" * 4000 + b" HTTP/1.1\r\n\r\n",
        LINE + b"A: b\r\n" * 101 + b"\r\n",
    ],
)
def test_whatever_else_comes_is_left_to_gunicorn(head):
    assert PlainHeads(Config(), CLIENT).find_request(head) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("certfile", "cert.pem"), ("proxy_protocol", "auto"), ("protocol", "uwsgi")],
)
def test_connections_of_other_protocols_are_left_to_gunicorn(name, value):
    config = Config()
    config.set(name, value)
    assert PlainHeads(config, CLIENT).find_request(LINE + BROWSER + b"\r\n") is None


@pytest.mark.parametrize(
    "line", [b"a" * 3800, b"a:" * 1900 + b"\x00", b"a:" + b" " * 3800 + b"\x00"]
)
def test_no_head_keeps_the_server_busy(line):
    started = time.process_time()
    assert PlainHeads(Config(), CLIENT).find_request(LINE + line + b"\r\n\r\n") is None
    # Microseconds, if no piece is looked at twice; a quarter of a second otherwise.
    assert time.process_time() - started < 0.02
