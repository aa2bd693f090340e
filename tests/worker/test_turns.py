"""Turns: one thread leads, somebody always can, and a source is never in two hands."""

import select
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from wsi_streamer.worker.turns import Turns

# Long enough for any machine; only a failing test waits for it.
SOON_S = 10
# How long nothing has to happen for it to be believed.
NEVER_S = 0.05


class Pair:
    """A source, and the other end of it."""

    def __init__(self, stack):
        self.ours, self.theirs = map(stack.enter_context, socket.socketpair())
        self.number = self.ours.fileno()

    def fileno(self):
        return self.number

    def ask(self, data=b"x"):
        self.theirs.sendall(data)

    def read(self):
        return self.ours.recv(100)


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


@pytest.fixture
def turns(clock):
    return Turns(lambda: clock.now)


@pytest.fixture
def pair(stack):
    return Pair(stack)


@pytest.fixture
def other(stack):
    return Pair(stack)


class Standby:
    """A thread that stands by, leads when it can, and tells what it found then."""

    def __init__(self, turns):
        self.found = Future()
        self.thread = threading.Thread(target=self._run, args=(turns,), daemon=True)
        self.thread.start()

    def _run(self, turns):
        while not turns.wait():
            pass
        self.found.set_result(turns.ready())

    @property
    def sleeps(self):
        with pytest.raises(TimeoutError):
            self.found.result(NEVER_S)
        return True


def test_nobody_is_woken_while_the_leader_works(turns, pair, other):
    turns.take_lead()
    turns.add(pair)
    turns.add(other)
    standby = Standby(turns)
    pair.ask()
    assert turns.ready() == [pair]
    assert turns.begin(pair)
    other.ask()
    assert standby.sleeps
    turns.step_aside()
    assert standby.found.result(SOON_S) == [other]


def test_nobody_is_woken_when_the_leader_steps_aside_and_nothing_comes(turns, pair):
    turns.take_lead()
    turns.add(pair)
    pair.ask()
    turns.begin(pair)
    standby = Standby(turns)
    turns.step_aside()
    # What the leader has in hand is nobody else's, although it can be read.
    assert standby.sleeps
    turns.end(pair, keep=True)
    assert standby.found.result(SOON_S) == [pair]


def test_a_leader_who_is_back_in_time_leads_again(turns, pair, other):
    turns.take_lead()
    turns.add(pair)
    turns.add(other)
    turns.begin(pair)
    standby = Standby(turns)
    turns.step_aside()
    turns.end(pair, keep=True)
    assert turns.take_lead()
    other.ask()
    assert turns.ready() == [other]
    assert standby.sleeps
    turns.step_aside()
    assert standby.found.result(SOON_S) == [other]


def test_a_leader_who_comes_late_follows(turns, pair, other):
    turns.take_lead()
    turns.add(pair)
    turns.add(other)
    turns.begin(pair)
    standby = Standby(turns)
    turns.step_aside()
    other.ask()
    standby.found.result(SOON_S)
    assert not turns.take_lead()
    assert not turns.begin(other)
    turns.end(pair, keep=True)


def test_a_leader_who_is_busy_for_too_long_is_relieved(turns, clock, pair, other):
    turns.take_lead()
    turns.add(pair)
    turns.add(other)
    standby = Standby(turns)
    turns.begin(pair)
    other.ask()
    clock.now = 0.1
    turns.relieve(0.1)
    assert standby.sleeps
    clock.now = 0.2
    turns.relieve(0.1)
    assert standby.found.result(SOON_S) == [other]
    assert not turns.take_lead()
    turns.end(pair, keep=False)


def test_a_leader_who_waits_for_work_is_left_alone(turns, clock, pair):
    turns.take_lead()
    turns.add(pair)
    turns.begin(pair)
    turns.end(pair, keep=True)
    clock.now = 100
    turns.relieve(0.1)
    assert turns.begin(pair)


def test_what_is_in_hand_cannot_be_closed(turns, pair):
    turns.take_lead()
    turns.add(pair)
    turns.begin(pair)
    assert not turns.remove(pair)
    turns.step_aside()
    assert not turns.remove(pair)
    turns.end(pair, keep=True)
    assert turns.remove(pair)
    assert not turns.remove(pair)


def test_a_closed_source_is_not_taken_for_the_next_one_of_its_number(turns, pair, other):
    turns.take_lead()
    turns.add(pair)
    turns.remove(pair)
    # The kernel gives the lowest free number.
    other.number = pair.number
    turns.add(other)
    assert not turns.begin(pair)
    assert not turns.remove(pair)
    assert turns.begin(other)


def test_a_source_that_is_removed_while_it_is_found_is_passed_over(turns, pair, other):
    turns.take_lead()
    turns.add(pair)
    turns.add(other)
    pair.ask()
    other.ask()

    class Meddling(dict):
        """Loses a source just before it is looked at."""

        def get(self, number):
            self.pop(pair.number, None)
            return super().get(number)

    turns._sources = Meddling(turns._sources)
    assert turns.ready() == [other]


def test_an_answer_can_wait_for_room(turns, pair):
    turns.take_lead()
    turns.add(pair)
    turns.begin(pair)
    turns.step_aside()
    turns.end(pair, keep=True, event=select.EPOLLOUT)
    turns.take_lead()
    assert turns.ready() == [pair]
    turns.begin(pair)
    turns.step_aside()
    turns.end(pair, keep=True, event=select.EPOLLIN)
    assert Standby(turns).sleeps
    pair.ask()


def test_a_connection_that_breaks_while_in_hand_wakes_nobody_again_and_again(turns, pair):
    turns.take_lead()
    turns.add(pair)
    turns.begin(pair)
    turns.step_aside()
    pair.theirs.close()
    turns.take_lead()
    assert turns.ready() == []
    turns.step_aside()
    standby = Standby(turns)
    assert standby.sleeps
    turns.end(pair, keep=True)
    assert standby.found.result(SOON_S) == [pair]


class Crew:
    """Threads that answer as a worker's do, stepping aside now and then, under the watchdog."""

    def __init__(self, turns, count):
        self.turns = turns
        self.in_hand = {}
        self.clashes = []
        self.threads = [threading.Thread(target=self.serve, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def serve(self):
        while True:
            if self.turns.wait():
                while self.turns.take_lead():
                    self.answer(self.turns.ready())

    def answer(self, sources):
        for source in sources:
            if not self.turns.begin(source):
                break
            if self.in_hand.setdefault(source, threading.get_ident()) != threading.get_ident():
                self.clashes.append(source)
            data = source.read()
            if data[-1] % 3 == 0:
                self.turns.step_aside()
            source.ours.sendall(data)
            self.in_hand.pop(source, None)
            self.turns.end(source, keep=True)


def test_every_request_is_answered_once_by_one_thread(stack):
    turns = Turns()
    pairs = [Pair(stack) for _ in range(12)]
    for pair in pairs:
        turns.add(pair)
    crew = Crew(turns, 4)

    def converse(pair):
        pair.theirs.settimeout(SOON_S)
        for number in range(60):
            pair.ask(bytes([number]))
            assert pair.theirs.recv(100) == bytes([number])

    with ThreadPoolExecutor(len(pairs)) as clients:
        talks = [clients.submit(converse, pair) for pair in pairs]
        while not all(it.done() for it in talks):
            # No leader is ever good enough.
            turns.relieve(-1)
    for talk in talks:
        talk.result()
    assert not crew.clashes
    for pair in pairs:
        # The answer may have come before the thread has let go.
        while not turns.remove(pair):
            pass
