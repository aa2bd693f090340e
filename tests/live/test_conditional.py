"""If-None-Match: who has an image already gets no second copy, and whoever has not gets it."""

import pytest

from tests.live.client import Answer
from tests.live.servers import ALLOWED_ORIGINS, Server, SignedServer
from tests.live.signing import signed_target

IMAGES = [
    "/tiles/plain.svs/0/1/1.jpg",
    "/tiles/plain.svs/0/1/1.jpg?quality=70",
    "/tiles/flat.tif/1/0/0.jpg",
    "/slides/plain.svs_files/11/1_1.jpg",
    "/slides/plain.svs/dzi_files/7/0_0.jpg",
    "/slides/plain.svs/thumbnail",
    "/slides/plain.svs/thumbnail?max_size=9999",
]
SAME = ["{}", "W/{}", '"other", {}', '"other",W/{} , "third"', "*", " * ", ',, {},"x"']
OTHER = ['"other"', 'W/"other"', '"x{}"', "nonsense", "", '"*"', '"']
# What a cache needs to know of an answer that it keeps (RFC 9110, section 15.4.5).
KEPT = ("ETag", "Cache-Control")
SAFE = ("X-Content-Type-Options", "Content-Security-Policy")


def tag(answer: Answer) -> str:
    assert answer.status == 200, answer
    assert answer.headers["ETag"].startswith('"'), answer
    return answer.headers["ETag"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", IMAGES)
def test_an_image_that_the_client_has_is_not_sent_again(
    live_server: Server, path: str, method: str
) -> None:
    first = live_server.ask(path)
    for condition in SAME:
        again = live_server.ask(path, method=method, If_None_Match=condition.format(tag(first)))
        assert (again.status, again.body) == (304, b""), again
        for name in KEPT + SAFE + ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers"):
            assert again.headers[name] == first.headers[name]
        assert not {"Content-Type", "Transfer-Encoding"} & set(again.headers)
        assert again.headers.get("Content-Length", "0") == "0"


@pytest.mark.parametrize("path", IMAGES)
def test_an_image_that_the_client_lacks_is_sent(live_server: Server, path: str) -> None:
    first = live_server.ask(path)
    opaque = tag(first).strip('"')
    for condition in OTHER:
        again = live_server.ask(path, If_None_Match=condition.format(opaque))
        assert (again.status, again.body) == (200, first.body), again


def test_a_date_does_not_keep_a_new_image_from_the_client(live_server: Server) -> None:
    future = "Fri, 31 Dec 2049 23:59:59 GMT"
    answer = live_server.ask(IMAGES[0], If_Modified_Since=future)
    assert answer.status == 200


def test_each_quality_and_size_has_an_etag_of_its_own(live_server: Server) -> None:
    paths = ("/tiles/plain.svs/0/1/1.jpg", "/slides/plain.svs/thumbnail")
    asked = [f"{path}?quality={quality}" for path in paths for quality in (70, 71)]
    asked.append("/slides/plain.svs/thumbnail?max_size=100&quality=70")
    assert len({tag(live_server.ask(path)) for path in asked}) == len(asked)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/tiles/plain.svs/9/0/0.jpg", (400, "invalid_level")),
        ("/tiles/plain.svs/0/99/0.jpg", (400, "tile_out_of_bounds")),
        ("/tiles/plain.svs/0/0/0.jpg?quality=0", (400, "invalid_quality")),
        ("/tiles/no.svs/0/0/0.jpg", (404, "not_found")),
        ("/slides/no.svs/thumbnail", (404, "not_found")),
    ],
)
def test_what_is_not_there_is_not_called_unchanged(
    live_server: Server, path: str, error: tuple[int, str]
) -> None:
    assert live_server.ask(path, If_None_Match="*").error() == error


def test_strangers_do_not_learn_what_is_unchanged(signed_server: SignedServer) -> None:
    path = IMAGES[0]
    first = signed_server.ask(signed_target(path))
    assert signed_server.ask(path, If_None_Match=tag(first)).error() == (401, "missing_signature")
    again = signed_server.ask(signed_target(path), If_None_Match=tag(first))
    assert again.status == 304
    assert again.headers["Cache-Control"] == "private, max-age=3600"


@pytest.mark.parametrize("origin", ALLOWED_ORIGINS)
def test_listed_origins_may_read_that_nothing_changed(
    configured_server: Server, origin: str
) -> None:
    path = "/tiles/plain.svs/0/1/1.jpg"
    etag = tag(configured_server.ask(path))
    again = configured_server.ask(path, If_None_Match=etag, Origin=origin)
    assert again.status == 304
    assert again.headers["Access-Control-Allow-Origin"] == origin
    assert again.headers["Vary"] == "Origin"
    other = configured_server.ask(path, If_None_Match=etag, Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in other.headers
    assert other.headers["Vary"] == "Origin"
