"""GET /slides: every slide is found, page by page, and nothing else."""

import pytest

from tests.live.bucket import NEEDLES, NOT_SLIDES, ODD_KEYS, Bucket
from tests.live.client import Answer
from tests.live.servers import Server


def pages(server: Server, query: str) -> list[list[str]]:
    """Return the slides of each page, following the cursors."""
    found, cursor = [], ""
    for _ in range(500):
        document = server.ask(f"/slides?{query}{cursor}").json()
        found.append(document["slides"])
        if document["next_cursor"] is None:
            return found
        cursor = f"&cursor={document['next_cursor']}"
    raise AssertionError(f"the listing of {query} has no end")


def first_page(server: Server, query: str) -> Answer:
    answer = server.ask(f"/slides?{query}")
    assert answer.status == 200, answer
    return answer


def test_all_slides_are_listed_and_nothing_else(live_server: Server, bucket: Bucket) -> None:
    document = first_page(live_server, "limit=1000").json()
    assert list(document) == ["slides", "next_cursor"]
    assert document["next_cursor"] is None
    # SeaweedFS orders names folder by folder, other stores as plain text.
    assert sorted(document["slides"], key=str.encode) == list(bucket.ids)


@pytest.mark.parametrize(("limit", "prefix"), [(1, "f"), (7, ""), (33, "")])
def test_paging_loses_and_repeats_no_slide(live_server: Server, limit: int, prefix: str) -> None:
    found = pages(live_server, f"limit={limit}&prefix={prefix}")
    everything = first_page(live_server, f"limit=1000&prefix={prefix}").json()["slides"]
    assert [name for page in found for name in page] == everything
    assert all(len(page) == limit for page in found[:-1])


def test_the_default_page_holds_100_slides(live_server: Server, bucket: Bucket) -> None:
    everything = first_page(live_server, "limit=1000").json()["slides"]
    assert len(bucket.ids) > 100
    assert live_server.ask("/slides").json()["slides"] == everything[:100]


@pytest.mark.parametrize("limit", ["0", "-3"])
def test_a_limit_that_is_too_small_gives_one_slide(live_server: Server, limit: str) -> None:
    assert len(first_page(live_server, f"limit={limit}").json()["slides"]) == 1


def test_a_limit_that_is_too_large_is_clamped(live_server: Server, bucket: Bucket) -> None:
    assert len(first_page(live_server, "limit=100000").json()["slides"]) == len(bucket.ids)


@pytest.mark.parametrize("limit", ["abc", "", "1.5", "+5", "%D9%A3", "1_0", "5&limit=6"])
def test_a_limit_that_is_no_number_is_refused(live_server: Server, limit: str) -> None:
    assert live_server.ask(f"/slides?limit={limit}").error()[0] == 400


def test_search_finds_all_matches_among_many_other_objects(live_server: Server) -> None:
    wanted = [f"many/Needle-{i:03}.svs" for i in range(NEEDLES)]
    found = pages(live_server, "search=nEEdle&limit=15")
    assert [name for page in found for name in page] == wanted
    assert [len(page) for page in found] == [15, 15, 15, 10]


def test_search_looks_at_the_letters_of_every_language(live_server: Server) -> None:
    assert first_page(live_server, "search=UML%C3%84UT-GR%C3%B6").json()["slides"] == [
        "umläut-Größe.svs"
    ]


@pytest.mark.parametrize("text", [".", "*", ".*", "%25_", "\\d"])
def test_search_means_its_text_and_no_pattern(
    live_server: Server, bucket: Bucket, text: str
) -> None:
    answer = first_page(live_server, f"search={text}&limit=1000").json()["slides"]
    plain = text.replace("%25", "%")
    assert sorted(answer) == sorted(name for name in bucket.ids if plain in name)


def test_search_without_match_gives_an_empty_page(live_server: Server) -> None:
    document = first_page(live_server, "search=no-such-slide").json()
    assert document == {"slides": [], "next_cursor": None}


def test_prefix_shows_one_folder(live_server: Server, bucket: Bucket) -> None:
    assert first_page(live_server, "prefix=folder/").json()["slides"] == [
        "folder/sub folder/deep.tif"
    ]
    both = first_page(live_server, "prefix=many/&search=3&limit=1000").json()["slides"]
    assert both == [name for name in bucket.ids if name.startswith("many/") and "3" in name]


@pytest.mark.parametrize("prefix", ["/", "../", "..%2F", "lab/", "%5C..%5C", "..", "./"])
def test_prefix_does_not_lead_out_of_the_folder_of_slides(
    live_server: Server, bucket: Bucket, prefix: str
) -> None:
    answer = live_server.ask(f"/slides?prefix={prefix}&limit=1000")
    assert answer.status == 400 or set(answer.json()["slides"]) <= set(bucket.ids), answer


def test_objects_that_are_no_slides_are_never_named(live_server: Server) -> None:
    names = [name for page in pages(live_server, "limit=50") for name in page]
    assert not set(names) & set(NOT_SLIDES)
    assert set(ODD_KEYS) <= set(names)


@pytest.mark.parametrize(
    "change",
    [
        lambda cursor: cursor[:-1] + ("A" if cursor[-1] != "A" else "B"),
        lambda cursor: ("A" if cursor[0] != "A" else "B") + cursor[1:],
        lambda cursor: cursor[: len(cursor) // 2],
        lambda cursor: cursor + "A",
        lambda cursor: cursor.upper(),
        lambda cursor: "cGxhaW4uc3Zz",
        lambda cursor: "many/Needle-003.svs",
        lambda cursor: "%00",
        lambda cursor: "x" * 3000,
        lambda cursor: f"{cursor}&cursor={cursor}",
    ],
)
def test_a_cursor_that_was_tampered_with_is_refused(live_server: Server, change) -> None:
    cursor = first_page(live_server, "limit=5").json()["next_cursor"]
    assert live_server.ask(f"/slides?limit=5&cursor={change(cursor)}").error()[0] == 400


def test_a_cursor_of_another_search_is_refused(live_server: Server) -> None:
    cursor = first_page(live_server, "limit=5&search=needle").json()["next_cursor"]
    for query in ("limit=5", "limit=5&search=svs", "limit=5&search=needle&prefix=many/"):
        assert live_server.ask(f"/slides?{query}&cursor={cursor}").error()[0] == 400
    again = f"limit=9&search=needle&cursor={cursor}"
    assert first_page(live_server, again).json()["slides"][0] == "many/Needle-005.svs"


def test_a_folder_lists_as_a_bucket_does(folder_server: Server) -> None:
    document = first_page(folder_server, "").json()
    assert document["slides"] == ["case 1/tiny.tif", "plain.svs", "pyramid.tif"]
