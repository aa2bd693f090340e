"""SlideRegistry: one open a slide, fresh within seconds, and no more kept than allowed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.slides import flat, make_svs
from wsi_streamer.errors import SlideNotFound, StorageUnreachable
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.service import slide_registry


@pytest.fixture
def opens(monkeypatch):
    """Count how often slides are opened, slowly."""
    counted = []
    real, gate = slide_registry.open_slide, threading.Event()

    def counting(reader, limits):
        counted.append(reader)
        gate.wait(0.05)
        return real(reader, limits)

    monkeypatch.setattr(slide_registry, "open_slide", counting)
    return counted


def test_a_herd_at_a_cold_slide_opens_it_once(tmp_path, registry, opens):
    make_svs(tmp_path / "s.svs")
    with ThreadPoolExecutor(16) as pool:
        slides = list(pool.map(registry.get, ["s.svs"] * 64))
    assert len(opens) == 1
    assert len(set(map(id, slides))) == 1


def test_one_failed_open_does_not_block_those_who_wait(tmp_path, registry, monkeypatch):
    make_svs(tmp_path / "s.svs")
    real, failures = slide_registry.open_slide, [StorageUnreachable("gone"), KeyboardInterrupt()]

    def failing(reader, limits):
        if failures:
            reader.close()
            raise failures.pop()
        return real(reader, limits)

    monkeypatch.setattr(slide_registry, "open_slide", failing)
    for error in (KeyboardInterrupt, StorageUnreachable):
        with pytest.raises(error):
            registry.get("s.svs")
    assert registry.get("s.svs").info.format == "Aperio SVS"


def test_a_replaced_slide_is_fresh_after_the_trusted_time(tmp_path, registry, clock, opens):
    make_svs(tmp_path / "s.svs", flat(300, 200, (200, 0, 0)))
    old = registry.get("s.svs")
    make_svs(tmp_path / "s.svs", flat(400, 200, (0, 200, 0)))
    clock.now += 4.9
    assert registry.get("s.svs") is old
    clock.now += 0.2
    new = registry.get("s.svs")
    assert new.info.size.width == 400
    assert new.version != old.version
    clock.now += 6
    assert registry.get("s.svs") is new
    assert len(opens) == 2


def test_a_deleted_slide_is_gone_after_the_trusted_time(tmp_path, registry, clock):
    make_svs(tmp_path / "s.svs")
    registry.get("s.svs")
    (tmp_path / "s.svs").unlink()
    clock.now += 6
    with pytest.raises(SlideNotFound):
        registry.get("s.svs")


def test_only_so_many_slides_stay_open(tmp_path, registry, opens):
    for number in range(5):
        make_svs(tmp_path / f"{number}.svs", flat(300, 200, (number, 0, 0)))
        registry.get(f"{number}.svs")
    registry.get("4.svs")
    assert len(opens) == 5
    registry.get("0.svs")
    assert len(opens) == 6


def test_a_slide_that_falls_out_is_still_read_by_those_who_hold_it(tmp_path, registry):
    for number in range(5):
        make_svs(tmp_path / f"{number}.svs", flat(300, 200, (number, 0, 0)))
    held = registry.get("0.svs")
    for number in range(1, 5):
        registry.get(f"{number}.svs")
    assert registry.get("0.svs") is not held
    registry.drop("0.svs", registry.get("0.svs"))
    assert held.read_tiles([TileAddress(0, 0, 0)])[0].parts
