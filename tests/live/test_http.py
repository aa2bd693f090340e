"""What holds for every address: methods, the shape of errors, HEAD, CORS, security headers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.live.client import Answer
from tests.live.servers import ALLOWED_ORIGINS, Server, start_server
from tests.slides import make_svs

PATHS = [
    "/health",
    "/slides",
    "/slides/plain.svs",
    "/slides/plain.svs/dzi",
    "/slides/plain.svs.dzi",
    "/slides/plain.svs/thumbnail",
    "/slides/plain.svs/dzi_files/11/1_1.jpg",
    "/slides/plain.svs_files/11/1_1.jpg",
    "/tiles/plain.svs/0/1/1.jpg",
    "/view/plain.svs",
    "/",
]
CHANGING = {"Date", "X-Tile-Cache-Hit", "Connection"}
EXPOSED = {
    "etag",
    "x-tile-cache-hit",
    "x-tile-encoding",
    "x-tile-quality",
    "x-thumbnail-size-clamped",
    "x-thumbnail-requested-size",
    "x-thumbnail-actual-size",
}


def stable_headers(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in CHANGING}


def words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}


@pytest.mark.parametrize("path", PATHS)
def test_head_tells_what_get_would_send(live_server: Server, path: str) -> None:
    get = live_server.ask(path, Accept="text/html, */*")
    head = live_server.ask(path, method="HEAD", Accept="text/html, */*")
    assert get.status == head.status == 200
    assert head.body == b""
    assert stable_headers(head) == stable_headers(get)
    assert int(head.headers["Content-Length"]) == len(get.body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "TRACE"])
def test_other_methods_are_refused_in_json(live_server: Server, path: str, method: str) -> None:
    answer = live_server.ask(path, method=method)
    assert answer.error()[0] == 405
    assert words(answer.headers["Allow"]) == {"get", "head", "options"}


@pytest.mark.parametrize("path", PATHS)
def test_options_name_the_methods(live_server: Server, path: str) -> None:
    answer = live_server.ask(path, method="OPTIONS")
    assert answer.status in (200, 204)
    assert words(answer.headers["Allow"]) == {"get", "head", "options"}


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/tiles", "/tiles/", "/tiles/plain.svs", "/tiles/plain.svs/0/0", "/view"),
        *("/tiles/plain.svs/0/0/0/0/0.jpg", "/health/", "/slides/", "/view/", "/favicon.ico"),
        *("/static/no-such.js", "/static/../setup.cfg", "/static/%2e%2e/setup.cfg", "/robots.txt"),
    ],
)
def test_an_address_that_is_none_answers_in_json(live_server: Server, path: str) -> None:
    assert live_server.ask(path).error() == (404, "not_found")


def test_errors_are_not_kept_by_caches(live_server: Server) -> None:
    for path in ("/nothing", "/slides/no.svs", "/tiles/plain.svs/9/0/0.jpg"):
        assert live_server.ask(path).headers["Cache-Control"] == "no-store"


def test_unknown_parameters_change_nothing(live_server: Server) -> None:
    plain = live_server.ask("/tiles/plain.svs/0/1/1.jpg")
    assert live_server.ask("/tiles/plain.svs/0/1/1.jpg?v=3&time=12").body == plain.body


@pytest.mark.parametrize("path", [*PATHS, "/slides/no.svs", "/nothing"])
def test_scripts_of_any_origin_may_read_answers_and_errors(live_server: Server, path: str) -> None:
    answer = live_server.ask(path, Origin="https://anywhere.example")
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://anywhere.example")
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert words(answer.headers["Access-Control-Expose-Headers"]) >= EXPOSED


def test_preflight_allows_what_the_api_has(live_server: Server) -> None:
    answer = live_server.ask(
        "/tiles/plain.svs/0/0/0.jpg",
        method="OPTIONS",
        Origin="https://anywhere.example",
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="If-None-Match",
    )
    assert answer.status in (200, 204)
    assert words(answer.headers["Access-Control-Allow-Methods"]) == {"get", "head", "options"}
    assert "if-none-match" in words(answer.headers["Access-Control-Allow-Headers"])


def test_preflight_is_remembered_for_a_day(live_server: Server) -> None:
    asked = {"Access_Control_Request_Method": "GET", "Origin": "https://anywhere.example"}
    tile = "/tiles/plain.svs/0/0/0.jpg"
    answer = live_server.ask(tile, method="OPTIONS", **asked)
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    assert "Access-Control-Allow-Headers" not in answer.headers
    # What no preflight asked for is in no other answer.
    for method, sent in (("GET", asked), ("OPTIONS", {"Origin": "https://anywhere.example"})):
        assert "Access-Control-Max-Age" not in live_server.ask(tile, method=method, **sent).headers
    asked["Access_Control_Request_Method"] = "PUT"
    refused = live_server.ask(tile, method="OPTIONS", **asked)
    assert "Access-Control-Allow-Methods" not in refused.headers


@pytest.mark.parametrize("path", ["/tiles/plain.svs/0/0/0.jpg", "/slides", "/nothing"])
def test_a_cache_keeps_the_answers_to_several_origins_apart(
    configured_server: Server, path: str
) -> None:
    for origin in ({}, {"Origin": ALLOWED_ORIGINS[0]}, {"Origin": "https://evil.example"}):
        assert "origin" in words(configured_server.ask(path, **origin).headers["Vary"])


@pytest.mark.parametrize("origin", ALLOWED_ORIGINS)
def test_listed_origins_may_read(configured_server: Server, origin: str) -> None:
    answer = configured_server.ask("/tiles/plain.svs/0/0/0.jpg", Origin=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    # Without it a cache would hand one origin's answer to another.
    assert "origin" in words(answer.headers["Vary"])


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://viewer.example",
        "https://viewer.example.evil.example",
        "https://viewerxexample",
        "https://viewer.example:8443",
        "null",
    ],
)
def test_other_origins_may_not_read(configured_server: Server, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        answer = configured_server.ask(
            "/slides/plain.svs", method=method, Origin=origin, Access_Control_Request_Method="GET"
        )
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_nothing_that_is_served_can_run_as_something_else(live_server: Server) -> None:
    for path in PATHS:
        headers = live_server.ask(path, Accept="text/html, */*").headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_names_of_slides_are_text_on_the_page(live_server: Server) -> None:
    answer = live_server.ask("/view/%3Cb%3Etag%3C%2Fb%3E.svs", Accept="text/html")
    assert answer.status == 200
    assert b"<b>tag" not in answer.body


def test_a_body_is_not_read(live_server: Server) -> None:
    answer = live_server.ask("/slides", method="POST", Content_Length="0")
    assert answer.error()[0] == 405


def test_two_workers_answer(live_server: Server) -> None:
    assert len(live_server.worker_pids) == 2


def test_a_client_that_never_stops_leaves_threads_to_others(tmp_path: Path) -> None:
    make_svs(tmp_path / "s.svs")
    env = {"WSI_THREADS": "2"}
    with start_server(str(tmp_path), env) as server, ThreadPoolExecutor(8) as pool:
        over = threading.Event()

        def hammer() -> None:
            with closing(HTTPConnection("127.0.0.1", server.port)) as connection:
                while not over.is_set():
                    connection.request("GET", "/health")
                    connection.getresponse().read()

        hammers = [pool.submit(hammer) for _ in range(8)]
        try:
            waited = []
            for _ in range(5):
                start = time.monotonic()
                assert server.ask("/tiles/s.svs/0/0/0.jpg").status == 200
                waited.append(time.monotonic() - start)
        finally:
            over.set()
        for future in hammers:
            future.result(10)
    # Where a thread stayed with a busy client for good, these were seconds.
    assert max(waited) < 1
