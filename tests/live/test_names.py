"""Names of slides: each can be reached, in every way to write it, and nothing else can."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.live.bucket import NOT_SLIDES, ODD_KEYS, OUTSIDE, Bucket
from tests.live.client import send_raw
from tests.live.servers import Server

WAYS_OUT = [
    *("../outside.svs", "%2e%2e/outside.svs", "..%2foutside.svs", "%2e%2e%2foutside.svs"),
    *(".%2e/outside.svs", "..%5coutside.svs", "..\\outside.svs", "%2e%2e%5coutside.svs"),
    *("%252e%252e%252foutside.svs", "..%252foutside.svs", "..%c0%afoutside.svs"),
    *("x/../../outside.svs", "plain.svs/../../outside.svs", "a.svs/%2e%2e/%2e%2e/outside.svs"),
    *("./plain.svs", "%2e/plain.svs", "//plain.svs", "/plain.svs", "%2fplain.svs"),
    *("folder//deep.tif", "plain.svs/", "plain.svs%2f", "plain.svs%00", "plain.svs%00.svs"),
    *("%00plain.svs", "plain.svs%0a", "..;/outside.svs", "%e2%80%a5/outside.svs"),
    *("s3://slides/outside.svs", "/slides/outside.svs", "http://127.0.0.1/outside.svs"),
    *("../lab-2/secret.svs", "-2/secret.svs", "..%2flab%2fplain.svs", "%ff.svs", "%ed%a0%80.svs"),
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_slide_with_an_odd_name_is_served_like_any_other(
    live_server: Server, bucket: Bucket, key: str
) -> None:
    for encoded in (quote(key, safe="/"), quote(key, safe="")):
        document = live_server.ask(f"/slides/{encoded}").json()
        assert document["slide_id"] == key
        assert (document["width"], document["height"]) == (96, 64)
        for target in (
            f"/tiles/{encoded}/0/0/0.jpg?quality=95",
            f"/slides/{encoded}/thumbnail?quality=95",
            f"/slides/{encoded}/dzi_files/7/0_0.jpg?quality=95",
            f"/slides/{encoded}_files/7/0_0.jpg?quality=95",
        ):
            pixels = live_server.ask(target).pixels()
            assert abs(pixels.mean(axis=(0, 1)) - bucket.odd_colors[key]).max() < 3, target
        for target in (f"/slides/{encoded}/dzi", f"/slides/{encoded}.dzi"):
            assert b'Width="96" Height="64"' in live_server.ask(target).body
        assert live_server.ask(f"/view/{encoded}", Accept="text/html").status == 200


@pytest.mark.parametrize("name", NOT_SLIDES)
@pytest.mark.parametrize(
    "path", ["/slides/{}", "/tiles/{}/0/0/0.jpg", "/slides/{}/dzi", "/view/{}"]
)
def test_an_object_that_is_no_slide_does_not_exist(
    live_server: Server, name: str, path: str
) -> None:
    answer = live_server.ask(path.format(quote(name)))
    assert answer.error() == (404, "not_found")


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize(
    "path", ["/slides/{}", "/tiles/{}/0/0/0.jpg", "/slides/{}/thumbnail", "/view/{}"]
)
def test_nothing_outside_the_folder_of_slides_can_be_reached(
    live_server: Server, way: str, path: str
) -> None:
    request = f"GET {path.format(way)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, answer = send_raw(live_server.port, request.encode())
    assert 400 <= status < 500, answer[:500]
    assert b"outside" not in answer or b"width" not in answer


@pytest.mark.parametrize("name", OUTSIDE)
def test_slides_beside_the_folder_do_not_exist(live_server: Server, name: str) -> None:
    for spelling in (f"../{name}", f"/{name}", name):
        answer = live_server.ask(f"/slides/{quote(spelling, safe='')}")
        assert answer.error() == (404, "not_found")


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/slides/../outside.svs",
        "http://evil.example/tiles/..%2foutside.svs/0/0/0.jpg",
        "//evil.example/slides/plain.svs",
        "///slides/plain.svs",
        "slides/plain.svs",
        "*",
        "\\slides\\plain.svs",
    ],
)
def test_odd_targets_lead_nowhere_and_break_nothing(live_server: Server, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, answer = send_raw(live_server.port, request.encode())
    assert 400 <= status < 500, answer[:500]


def test_a_target_that_is_no_ascii_is_refused(live_server: Server) -> None:
    for target in ("/slides/umläut-Größe.svs".encode(), b"/slides/\xff.svs", b"/slides/\x01.svs"):
        status, answer = send_raw(live_server.port, b"GET " + target + b" HTTP/1.0\r\n\r\n")
        assert 400 <= status < 500, answer[:500]


def test_a_very_long_name_is_not_found(live_server: Server) -> None:
    answer = live_server.ask("/slides/" + "a" * 2000 + ".svs")
    assert answer.error() == (404, "not_found")


@pytest.mark.parametrize(
    "way", ["../secret.svs", "..%2fsecret.svs", "%2e%2e%2fsecret.svs", "case%201/../../secret.svs"]
)
def test_nothing_outside_a_folder_of_this_machine_can_be_reached(
    folder_server: Server, slide_folder: Path, way: str
) -> None:
    absolute = quote(os.fspath(slide_folder.parent / "secret.svs"), safe="")
    for name in (way, absolute, absolute.replace("%2F", "/"), "link-out.svs", "notes.txt"):
        request = f"GET /slides/{name} HTTP/1.0\r\n\r\n"
        status, answer = send_raw(folder_server.port, request.encode())
        assert 400 <= status < 500, answer[:500]


def test_a_folder_serves_slides_in_its_folders(folder_server: Server) -> None:
    assert folder_server.ask("/slides/case%201/tiny.tif").json()["width"] == 40
    assert folder_server.ask("/tiles/case%201%2Ftiny.tif/0/0/0.jpg").status == 200
