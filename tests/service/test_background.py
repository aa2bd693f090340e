"""Background: what nobody waits for must not harm those who wait for something else."""

import threading
from concurrent.futures import ThreadPoolExecutor

from wsi_streamer.service.background import MAX_WAITING, Background


def test_a_system_without_threads_to_give_costs_reading_ahead_and_no_tile(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    background, done = Background(), threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(ThreadPoolExecutor, "submit", refuse)
        assert not any(background.run(done.set) for _ in range(2 * MAX_WAITING))
    assert background.run(done.set)
    assert done.wait(5)
