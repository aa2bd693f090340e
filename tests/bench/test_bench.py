"""The parts of the benchmark: what it asks for, counts and writes. No figure of time is judged."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bench import viewer
from bench.load import Job, Viewer, run_load
from bench.measurement import Figures, Measurement, percentile
from bench.paint.layout import to_libtiff_layout
from bench.paint.shelf import APERIO
from bench.paint.vast import write_vast
from bench.peers import OURS_S3, PEERS
from bench.places import Place, SlideShape, random_places, viewport_places
from bench.proxy import Exchange, Proxy, chain_length
from bench.report import Record, make_report
from bench.stage import paths

TILE = b"a tile of thirty bytes, or so.."
MEASURED = Measurement(
    load="random, 8 clients, cold",
    peer="ours-s3",
    round=1,
    tiles=100,
    cpu_ms=1.0,
    front_cpu_ms=0,
    p50_ms=5,
    p99_ms=9,
    view_ms=500,
    served_bytes=20_000,
    requests=1.0,
    read_bytes=20_000,
    round_trips=12,
    connections=8,
    memory_mb=80,
)


class Storage(BaseHTTPRequestHandler):
    """Answers every GET with the same bytes, or 304 to who has them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        has_it = self.headers.get("If-None-Match") == '"one"'
        self.send_response(304 if has_it else 200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", "0" if has_it else str(len(TILE)))
        self.end_headers()
        self.wfile.write(b"" if has_it else TILE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def storage() -> Iterator[int]:
    """The port of a storage."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_every_run_and_every_server_is_asked_for_the_same_random_places() -> None:
    assert random_places(APERIO, [1, 4], 50, seed=3) == random_places(APERIO, [1, 4], 50, seed=3)
    assert random_places(APERIO, [1], 50, seed=3) != random_places(APERIO, [1], 50, seed=4)


def test_no_random_tile_is_asked_for_twice() -> None:
    small = SlideShape("small.svs", 1024, 512)
    assert len(set(random_places(small, [1], 100, seed=1))) == 8


def test_the_recorded_sessions_are_what_the_viewer_records() -> None:
    for name, views in viewer.recordings().items():
        assert viewer.load(name) == views, f"{name}: run python -m bench.viewer"


def test_a_session_asks_for_each_tile_once_and_stays_on_the_slide() -> None:
    places = [place for view in viewer.load("stored") for place in view.places]
    assert len(places) == len(set(places)) == 1200
    for place in places:
        width, height = viewer.RECORDED.level_size(place.downsample)
        assert 0 <= place.x <= width - 256
        assert 0 <= place.y <= height - 256


def test_a_viewport_is_asked_for_from_its_middle_outwards() -> None:
    places = viewport_places(APERIO)
    assert len(places) == 24
    columns = [place.x // 256 for place in places]
    assert columns[0] in (77, 78)
    assert columns[-1] in (75, 80)


def test_all_servers_are_asked_for_the_same_place() -> None:
    place = Place(4, 256 * 7, 256 * 9)
    asked = {peer.name: peer.path(APERIO, place) for peer in PEERS}
    assert asked["ours-s3"] == "/tiles/aperio.svs/1/7/9.jpg"
    assert asked["openslide"] == "/aperio.svs/4/7/9"
    # Page 2 of 6, the last of which is resolution 0; the level has 40 columns.
    assert asked["iipsrv"] == f"/?FIF=aperio.svs&JTL=3,{9 * 40 + 7}"
    assert (
        OURS_S3.path(APERIO, replace(place, downsample=2)) == "/slides/aperio.svs_files/15/7_9.jpg"
    )


def test_servers_are_not_asked_for_levels_that_they_cannot_make() -> None:
    iipsrv = next(peer for peer in PEERS if peer.name == "iipsrv")
    assert paths(iipsrv, APERIO, [Place(1, 0, 0), Place(2, 0, 0)]) == ["/?FIF=aperio.svs&JTL=5,0"]


def test_the_layout_of_libtiff_has_the_same_pages_with_their_data_first(tmp_path: Path) -> None:
    source, target = tmp_path / "source.tif", tmp_path / "target.tif"
    with tifffile.TiffWriter(source, byteorder="<") as writer:
        for red in (10, 200):
            pixels = np.full((64, 64, 3), red, "uint8")
            writer.write(pixels, tile=(32, 32), metadata=None)
    to_libtiff_layout(source, target)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        assert len(after.pages) == 2
        for old, new in zip(before.pages, after.pages, strict=True):
            assert (old.asarray() == new.asarray()).all()
            assert old.offset < min(old.dataoffsets)
            assert new.offset > max(new.dataoffsets)


def test_a_vast_slide_is_small_and_has_all_of_its_offsets(tmp_path: Path) -> None:
    class Grey:
        def tile(self, *_: int) -> object:
            return np.full((256, 256, 3), 128, "uint8")

    path = tmp_path / "vast.svs"
    write_vast(path, SlideShape("vast.svs", 10_000, 8_000, has_images=False), Grey())  # type: ignore[arg-type]
    with tifffile.TiffFile(path) as file:
        assert [page.shape for page in file.pages] == [
            (8000, 10000, 3),
            (2000, 2500, 3),
            (500, 625, 3),
        ]
        assert len(file.pages[0].dataoffsets) == 40 * 32
    assert path.stat().st_size < 30_000


def test_a_chain_is_as_long_as_requests_that_waited_for_one_another() -> None:
    together = [Exchange(0, 1), Exchange(0.1, 1.1), Exchange(0.2, 1.2)]
    assert chain_length(together) == 1
    assert chain_length([*together, Exchange(1.05, 2), Exchange(2.5, 3)]) == 3
    assert chain_length([]) == 0


def test_the_proxy_counts_requests_bytes_and_connections(storage: int) -> None:
    with Proxy(storage) as proxy:
        proxy.reset()
        result = run_load(Job(proxy.port, [Viewer(1, [["/a", "/b"], ["/c"]])]))
        traffic = proxy.traffic()
        assert result.statuses == {"200": 3}
        assert result.served_bytes == traffic.read_bytes == 3 * len(TILE)
        assert (traffic.requests, traffic.connections, traffic.round_trips) == (3, 1, 3)
        proxy.reset()
        assert proxy.traffic().requests == 0


def test_the_proxy_adds_a_round_trip_to_each_exchange_and_to_the_handshake(storage: int) -> None:
    with Proxy(storage) as proxy:
        proxy.reset(round_trip_ms=30)
        first, second = run_load(Job(proxy.port, [Viewer(1, [["/a", "/b"]])])).latencies_ms
    assert first >= 60
    assert second >= 30


def test_the_load_asks_whether_tiles_changed(storage: int) -> None:
    asked = ["/a", "/b"]
    etags = run_load(Job(storage, [Viewer(2, [asked])], keep_etags=True)).etags
    again = run_load(Job(storage, [Viewer(2, [asked])], etags=etags))
    assert again.statuses == {"304": 2}
    assert again.served_bytes == 0


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile([7.0], 99) == 7


def test_ratios_are_taken_round_by_round() -> None:
    rows = [
        replace(MEASURED, peer=peer, round=number, cpu_ms=cpu)
        for number, ours, theirs in ((1, 1, 2), (2, 3, 12), (3, 5, 50))
        for peer, cpu in (("ours-s3", ours), ("iipsrv", theirs))
    ]
    figures = Figures(rows)
    assert figures.ratio(MEASURED.load, "ours-s3", "iipsrv") == 0.25
    median = figures.median(MEASURED.load, "ours-s3")
    assert median is not None
    assert median.cpu_ms == 3


def test_the_report_says_what_was_asked_and_what_was_reached() -> None:
    record = Record(
        command="python -m bench",
        minutes=12,
        machine="2 cores",
        peers={"ours-s3": "WSI Streamer, S3", "iipsrv": "iipsrv"},
        versions={"ours-s3": {"flask": "3.1"}},
        missing={"iipsrv": "apt-get install it"},
        failures={"random, tiffslide": "it ended"},
        measurements=[MEASURED, replace(MEASURED, peer="iipsrv", cpu_ms=0.5, front_cpu_ms=0.2)],
        parts=[{"a system call": 0.5}, {"a system call": 0.2}, {"a system call": 0.3}],
    )
    page = make_report(record, "## Why\n\nBecause.", warm_up=24)
    assert "| random level-0 tiles, cold, from S3 | CPU a tile | 1.15 ms | 1 ms | yes |" in page
    assert "| CPU, to iipsrv, local | 1.40x | 2x | **no** |" in page
    assert "| iipsrv | 0.50 | 2.00 |" in page
    assert "| … with the nginx before it | 0.70 |" in page
    assert "304 for a tile | CPU | 0.30 ms | not measured" in page
    assert "| a system call | 0.30 |" in page
    assert "Because." in page
    assert "iipsrv: not available: apt-get install it" in page
    assert "Failed: random, tiffslide: it ended" in page


def test_tables_have_as_many_cells_as_heads() -> None:
    record = Record(
        "", 1, "", {}, {}, {}, {}, [MEASURED, replace(MEASURED, peer="local", requests=0)]
    )
    rows = [line for line in make_report(record, "", warm_up=1).splitlines() if line[:1] == "|"]
    tables = [row.count("|") for row in rows]
    assert set(tables) == {6, 12}
