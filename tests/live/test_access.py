"""Authentication: who has a signature or token gets in, everybody else learns nothing."""

import json
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.live.bucket import SLIDES
from tests.live.client import Answer
from tests.live.servers import SignedServer
from tests.live.signing import SECRET, in_future, in_past, sign, signed_target, token

TILE = "/tiles/plain.svs/0/0/0.jpg"
SLIDE_PATHS = [
    TILE,
    "/slides/plain.svs",
    "/slides/plain.svs/dzi",
    "/slides/plain.svs.dzi",
    "/slides/plain.svs/thumbnail",
    "/slides/plain.svs/dzi_files/11/0_0.jpg",
    "/slides/plain.svs_files/11/0_0.jpg",
]
PATHS = [*SLIDE_PATHS, "/slides"]
WRONG = "0" * 64


def with_query(path: str, **params: str) -> str:
    return f"{path}?" + "&".join(f"{name}={value}" for name, value in params.items())


def what_a_stranger_sees(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    return answer.status, answer.body, {k: v for k, v in answer.headers.items() if k != "Date"}


@pytest.mark.parametrize("path", PATHS)
def test_a_signed_url_opens_what_was_signed(signed_server: SignedServer, path: str) -> None:
    url = signed_server.sign(path)
    assert signed_server.ask(url.removeprefix(signed_server.url)).status == 200


@pytest.mark.parametrize(
    "params", [{"quality": "70"}, {"quality": "70", "note": "a b&c=d"}, {"ä": "ö", "empty": ""}]
)
def test_parameters_are_part_of_what_is_signed(
    signed_server: SignedServer, params: dict[str, str]
) -> None:
    exp = in_future()
    escaped = {key: value.replace("&", "%26") for key, value in params.items()}
    pairs = {**params, "exp": str(exp), "sig": sign(TILE, escaped, exp)}
    assert signed_server.ask(f"{TILE}?{urlencode(pairs)}").status == 200
    more = {**pairs, "extra": "1"}
    assert signed_server.ask(f"{TILE}?{urlencode(more)}").error() == (401, "invalid_signature")
    pairs.pop(next(iter(params)))
    assert signed_server.ask(f"{TILE}?{urlencode(pairs)}").error() == (401, "invalid_signature")


@pytest.mark.parametrize("path", PATHS)
def test_errors_come_in_their_order(signed_server: SignedServer, path: str) -> None:
    good, past = str(in_future()), str(in_past())
    for params, error in [
        ({}, (401, "missing_signature")),
        ({"exp": good}, (401, "missing_signature")),
        ({"exp": "abc"}, (401, "missing_signature")),
        ({"sig": "nonsense"}, (401, "missing_expiry")),
        ({"sig": WRONG}, (401, "missing_expiry")),
        ({"sig": WRONG, "exp": "abc"}, (400, "invalid_expiry_format")),
        ({"sig": "nonsense", "exp": past}, (401, "signature_expired")),
        ({"sig": WRONG, "exp": past}, (401, "signature_expired")),
        ({"sig": sign(path, {}, int(past)), "exp": past}, (401, "signature_expired")),
        ({"sig": "nonsense", "exp": good}, (400, "invalid_signature_format")),
        ({"sig": WRONG, "exp": good}, (401, "invalid_signature")),
        ({"vt": WRONG, "exp": good}, (401, "invalid_signature")),
        ({"vt": "nonsense", "exp": good}, (400, "invalid_signature_format")),
        ({"vt": token("plain.svs", int(past)), "exp": past}, (401, "signature_expired")),
        ({"vt": WRONG}, (401, "missing_expiry")),
    ]:
        answer = signed_server.ask(with_query(path, **params) if params else path)
        assert answer.error() == error, answer


@pytest.mark.parametrize(
    "exp",
    ["", "-1", "%2B5", "%205", "05", "1e9", "0x5", "5.0", "nan", "1_000", "%D9%A3", "9" * 40]
    + ["9" * 5000],
)
def test_an_expiry_outside_its_grammar_is_refused(signed_server: SignedServer, exp: str) -> None:
    answer = signed_server.ask(with_query(TILE, sig=WRONG, exp=exp[:3000]))
    assert answer.error() == (400, "invalid_expiry_format")


@pytest.mark.parametrize(
    "change",
    [
        lambda sig: sig.upper(),
        lambda sig: sig[:-1],
        lambda sig: sig + "0",
        lambda sig: f"%20{sig}",
        lambda sig: f"{sig}%0A",
        lambda sig: "%C3%A9" * 32,
        lambda sig: "",
        lambda sig: f"{sig}&sig={sig}",
        lambda sig: sig[:-1] + ("0" if sig[-1] != "0" else "1"),
    ],
)
def test_a_signature_has_one_spelling(signed_server: SignedServer, change: Any) -> None:
    exp = in_future()
    answer = signed_server.ask(f"{TILE}?exp={exp}&sig={change(sign(TILE, {}, exp))}")
    assert answer.status in (400, 401)
    assert "signature" in answer.error()[1]


def test_a_signature_opens_no_other_request(signed_server: SignedServer) -> None:
    exp = in_future()
    sig = sign(TILE, {}, exp)
    for target in (
        "/tiles/plain.svs/0/0/1.jpg",
        "/tiles/plain.svs/0/0/0",
        "/tiles/rgb.svs/0/0/0.jpg",
        "/tiles/plain%2Esvs/0/0/0.jpg",
        "/%74iles/plain.svs/0/0/0.jpg",
        "/slides/plain.svs",
    ):
        answer = signed_server.ask(with_query(target, exp=str(exp), sig=sig))
        assert answer.error() == (401, "invalid_signature")
    later = signed_server.ask(with_query(TILE, exp=str(exp + 1), sig=sig))
    assert later.error() == (401, "invalid_signature")
    other = sign(TILE, {}, exp, secret="another-secret-of-at-least-32-bytes!!")
    assert signed_server.ask(with_query(TILE, exp=str(exp), sig=other)).status == 401


def test_a_longer_life_cannot_be_smuggled_into_a_signed_parameter(
    signed_server: SignedServer,
) -> None:
    past, future = in_past(), in_future()
    sig = sign("/slides", {"cursor": f"x%26exp={future}"}, past)
    unescaped = sign("/slides", {"cursor": f"x&exp={future}"}, past)
    for given in (sig, unescaped):
        target = f"/slides?cursor=x&exp={future}&exp%3D{past}&sig={given}"
        assert signed_server.ask(target).status in (400, 401)


@pytest.mark.parametrize("path", SLIDE_PATHS)
def test_a_viewer_token_opens_all_of_one_slide(signed_server: SignedServer, path: str) -> None:
    exp = in_future()
    params = {"vt": token("plain.svs", exp), "exp": str(exp)}
    assert signed_server.ask(with_query(path, **params)).status == 200
    assert signed_server.ask(with_query(path, **params, v="12")).status == 200


def test_a_viewer_token_opens_nothing_else(signed_server: SignedServer) -> None:
    exp = in_future()
    params = {"vt": token("plain.svs", exp), "exp": str(exp)}
    for path in ("/tiles/rgb.svs/0/0/0.jpg", "/slides", "/slides/no.svs", "/slides/a.svs/dzi.svs"):
        answer = signed_server.ask(with_query(path, **params))
        assert answer.error() == (401, "invalid_signature"), answer


@pytest.mark.parametrize(
    "name", ["colon:1:2.svs", "folder/sub folder/deep.tif", "umläut-Größe.svs"]
)
def test_viewer_tokens_work_for_odd_names(signed_server: SignedServer, name: str) -> None:
    exp = in_future()
    for encoded in (quote(name), quote(name, safe="")):
        target = with_query(f"/tiles/{encoded}/0/0/0.jpg", vt=token(name, exp), exp=str(exp))
        assert signed_server.ask(target).status == 200


def test_strangers_cannot_tell_which_slides_exist(signed_server: SignedServer) -> None:
    exp = str(in_future())
    for params in ({}, {"sig": WRONG, "exp": exp}, {"vt": WRONG, "exp": exp}, {"sig": WRONG}):
        for path in ("/slides/{}", "/tiles/{}/0/0/0.jpg", "/slides/{}/thumbnail", "/slides/{}/dzi"):
            seen = [
                what_a_stranger_sees(signed_server.ask(with_query(path.format(name), **params)))
                for name in ("plain.svs", "no-such.svs", "notes.txt", "broken/empty.svs")
            ]
            assert seen.count(seen[0]) == len(seen)
            assert seen[0][0] == 401


def test_a_wrong_parameter_is_not_told_to_strangers(signed_server: SignedServer) -> None:
    for path in (f"{TILE}?quality=0", "/tiles/plain.svs/99/0/0.jpg", "/slides?cursor=x"):
        assert signed_server.ask(path).error() == (401, "missing_signature")


def test_images_of_signed_urls_stay_in_the_browser_that_asked(signed_server: SignedServer) -> None:
    headers = signed_server.ask(signed_target(TILE)).headers
    assert headers["Cache-Control"] == "private, max-age=3600"


def test_head_needs_a_signature_and_preflight_does_not(signed_server: SignedServer) -> None:
    assert signed_server.ask(TILE, method="HEAD").status == 401
    assert signed_server.ask(signed_target(TILE), method="HEAD").status == 200
    preflight = signed_server.ask(
        TILE, method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET"
    )
    assert preflight.status in (200, 204)
    assert "Access-Control-Allow-Origin" in preflight.headers


def test_the_first_signed_page_leads_to_the_next(signed_server: SignedServer) -> None:
    first = signed_server.ask(signed_target("/slides", {"limit": "5"})).json()
    params = {"limit": "5", "cursor": first["next_cursor"]}
    second = signed_server.ask(signed_target("/slides", params)).json()
    assert not set(first["slides"]) & set(second["slides"])


def page_token(answer: Answer) -> dict[str, Any]:
    """Return the token that a viewer page was given."""
    assert answer.status == 200, answer
    found = re.search(rb'<script type="application/json" id="page">(.*?)</script>', answer.body)
    assert found, answer
    made: dict[str, Any] = json.loads(found[1])["token"]
    return made


def test_the_published_viewer_opens_to_all_and_brings_its_token(
    signed_server: SignedServer,
) -> None:
    answer = signed_server.ask("/view/plain.svs", Accept="text/html")
    made = page_token(answer)
    assert made["vt"] == token("plain.svs", made["exp"])
    assert in_future() < made["exp"] <= in_future() + 3000
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert signed_server.ask("/view/no-such.svs").error() == (404, "not_found")


def test_a_closed_viewer_asks_for_a_signature(closed_server: SignedServer) -> None:
    pages = []
    for name in ("plain.svs", "no-such.svs"):
        assert closed_server.ask(f"/view/{name}").error() == (401, "missing_signature")
        page = closed_server.ask(f"/view/{name}", Accept="text/html")
        assert page.status == 401
        pages.append(page.body.replace(name.encode(), b""))
    assert pages[0] == pages[1]
    made = page_token(closed_server.ask(signed_target("/view/plain.svs"), Accept="text/html"))
    assert made["vt"] == token("plain.svs", made["exp"])
    exp = in_future()
    with_token = with_query("/view/plain.svs", vt=token("plain.svs", exp), exp=str(exp))
    assert closed_server.ask(with_token).status == 401


def test_no_secret_and_no_signature_is_written_to_the_log(signed_server: SignedServer) -> None:
    target = signed_target(TILE)
    assert signed_server.ask(target).status == 200
    assert SECRET not in signed_server.log
    assert target.rpartition("sig=")[2] not in signed_server.log


def test_without_authentication_signatures_are_ignored(live_server: SignedServer) -> None:
    assert live_server.ask(with_query(TILE, sig="nonsense", exp="never", vt="x")).status == 200
    made = page_token(live_server.ask("/view/plain.svs", Accept="text/html"))
    assert made is None


@pytest.mark.parametrize("name", ["plain.svs", "tiles-of-240.svs", "flat.tif"])
def test_the_viewer_draws_a_protected_slide(
    signed_server: SignedServer, browser: Any, name: str
) -> None:
    assert name in SLIDES
    with browser.new_context(viewport={"width": 900, "height": 700}) as context:
        page = context.new_page()
        answers: list[tuple[int, str]] = []
        page.on("response", lambda it: answers.append((it.status, it.url)))
        with page.expect_response(lambda it: "/tiles/" in it.url, timeout=20_000):
            page.goto(f"{signed_server.url}/view/{name}")
        page.wait_for_load_state("networkidle")
    assert [it for it in answers if it[0] != 200] == []
    assert all("vt=" in url for _, url in answers if "/tiles/" in url)
