"""The work loads: what each asks a server for, fresh or not, and what is measured meanwhile."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench import viewer
from bench.load import Viewer
from bench.measurement import Measurement, Subject
from bench.paint.shelf import APERIO, JPEG2000, TIFFFILE, VAST
from bench.peers import OURS_S3
from bench.peers.base import Peer
from bench.places import Place, random_places, viewport_places
from bench.stage import VAST_COPIES, Request, Stage, paths, vast_name

# A browser has six connections to a server.
BROWSER, CROWD = 6, 8
FAR, NEAR = Place(1, 0, 0), Place(1, 256 * 90, 256 * 70)
ROUND_TRIPS_MS = (60, 20)
# Other settings of peers that are measured with random tiles only, and not at all in a hurry.
VARIANTS = ("openslide-254", "large-image-openslide")


@dataclass(frozen=True)
class Run:
    """A server in a round of the benchmark; `scale` 1 is the full number of tiles."""

    stage: Stage
    peer: Peer
    round: int
    scale: float = 1.0

    def subject(self, load: str) -> Subject:
        """Return what is measured under this name."""
        return Subject(load, self.peer.name, self.round)

    def count(self, tiles: int) -> int:
        """Return the number of tiles to ask for."""
        return max(round(tiles * self.scale), 24)

    def session(self, name: str) -> list[list[str]]:
        """Return the paths of the views of a recorded session."""
        views = viewer.load(name)
        left = self.count(sum(len(view.places) for view in views))
        asked = []
        for view in views:
            asked.append(paths(self.peer, APERIO, view.places[:left]))
            left -= len(view.places[:left])
        return [view for view in asked if view]


def random_tiles(run: Run) -> Iterator[Measurement]:
    """Ask for tiles of level 0 anywhere: cold, again, and after a restart."""
    stage, peer = run.stage, run.peer
    places = random_places(APERIO, [1], run.count(1200), seed=11)
    crowd = Request([Viewer(CROWD, [paths(peer, APERIO, places)])])
    alone = Request([Viewer(1, [paths(peer, APERIO, places[: run.count(200)])])])
    with stage.state() as state:
        with stage.warm_server(peer, state) as server:
            yield stage.measure(run.subject("random, 8 clients, cold"), server, crowd)
            yield stage.measure(run.subject("random, 8 clients, again"), server, crowd)
        if peer == OURS_S3:
            with stage.warm_server(peer, state) as server:
                subject = run.subject("random, 8 clients, after a restart")
                yield stage.measure(subject, server, crowd)
    with stage.state() as state, stage.warm_server(peer, state) as server:
        yield stage.measure(run.subject("random, 1 client, cold"), server, alone)
        yield stage.measure(run.subject("random, 1 client, again"), server, alone)


def pan_and_zoom(run: Run) -> Iterator[Measurement]:
    """Replay a recorded session, cold and again; then eight of them at the same time."""
    stage, peer = run.stage, run.peer
    request = Request([Viewer(BROWSER, run.session("stored"))])
    with stage.state() as state, stage.warm_server(peer, state) as server:
        yield stage.measure(run.subject("session, 1 viewer, cold"), server, request)
        yield stage.measure(run.subject("session, 1 viewer, again"), server, request)
    people = [run.session(f"viewer-{number}") for number in range(1, CROWD + 1)]
    together = Request([Viewer(BROWSER, views) for views in people])
    with stage.state() as state, stage.warm_server(peer, state) as server:
        yield stage.measure(run.subject("session, 8 viewers, cold"), server, together)


def pan_and_zoom_again(run: Run) -> Iterator[Measurement]:
    """Replay a session on one worker, then on the other, twice there, and after a restart."""
    stage, peer = run.stage, run.peer
    request = Request([Viewer(BROWSER, run.session("stored"))])
    with stage.state() as state:
        with stage.warm_server(peer, state) as server:
            with server.only(0):
                yield stage.measure(run.subject("session, one worker, cold"), server, request)
            with server.only(1):
                for when in ("the other worker", "that worker again"):
                    subject = run.subject(f"session, {when}")
                    yield stage.measure(subject, server, request)
        with stage.warm_server(peer, state) as server:
            yield stage.measure(run.subject("session, after a restart"), server, request)


def pan_and_zoom_deepzoom(run: Run) -> Iterator[Measurement]:
    """Replay a session of a viewer that knows every power of two, as DeepZoom has them."""
    stage, peer = run.stage, run.peer
    request = Request([Viewer(BROWSER, run.session("deepzoom"))])
    with stage.state() as state, stage.warm_server(peer, state) as server:
        yield stage.measure(run.subject("session, DeepZoom levels, cold"), server, request)


def made_levels(run: Run) -> Iterator[Measurement]:
    """Ask for tiles of the levels 1:2 and 1:8, which the file lacks."""
    stage, peer = run.stage, run.peer
    places = random_places(APERIO, [2, 8], run.count(400), seed=12)
    request = Request([Viewer(CROWD, [paths(peer, APERIO, places)])])
    with stage.state() as state, stage.warm_server(peer, state) as server:
        yield stage.measure(run.subject("made levels, cold"), server, request)


def jpeg2000(run: Run) -> Iterator[Measurement]:
    """Ask for stored tiles of a JPEG 2000 slide, and for those of levels that it lacks."""
    stage, peer = run.stage, run.peer
    for load, downsamples, count in (("tiles", (1,), 400), ("made levels", (2, 8), 200)):
        places = random_places(JPEG2000, downsamples, run.count(count), seed=13)
        asked = paths(peer, JPEG2000, places)
        if asked:
            request = Request([Viewer(CROWD, [asked])])
            with stage.state() as state, stage.warm_server(peer, state) as server:
                subject = run.subject(f"JPEG 2000, {load}, cold")
                yield stage.measure(subject, server, request)


def not_modified(run: Run) -> Iterator[Measurement]:
    """Ask whether tiles have changed that have not."""
    stage, peer = run.stage, run.peer
    asked = paths(peer, APERIO, random_places(APERIO, [1], run.count(300), seed=14))
    with stage.state() as state, stage.warm_server(peer, state) as server:
        etags: dict[str, str] = {}
        for _ in server.one_by_one():
            etags |= stage.ask(server, asked, connections=CROWD, etags=True).etags
        request = Request([Viewer(CROWD, [asked * 8])], etags=etags)
        yield stage.measure(run.subject("not modified (304)"), server, request)


def first_tile(run: Run) -> Iterator[Measurement]:
    """Ask a fresh server for a tile of a slide that it has never seen, and one that it has."""
    stage, peer = run.stage, run.peer
    for shape in (APERIO, TIFFFILE):
        for round_trip_ms in ROUND_TRIPS_MS if peer == OURS_S3 else ROUND_TRIPS_MS[:1]:
            near, far = (
                Request([Viewer(1, [paths(peer, shape, [place])])], round_trip_ms)
                for place in (NEAR, FAR)
            )
            where = f"{shape.name.removesuffix('.svs')} layout, {round_trip_ms} ms"
            with stage.state() as state:
                with stage.server(peer, state) as server:
                    subject = run.subject(f"first tile, unknown slide, {where}")
                    yield stage.measure(subject, server, far)
                if peer != OURS_S3:
                    continue
                with stage.server(peer, state) as server:
                    subject = run.subject(f"first tile after a restart, {where}")
                    yield stage.measure(subject, server, near)


def viewport(run: Run) -> Iterator[Measurement]:
    """Ask for a viewport of cold tiles of a slide that every worker has open."""
    stage, peer = run.stage, run.peer
    asked = paths(peer, APERIO, viewport_places(APERIO))
    for round_trip_ms in ROUND_TRIPS_MS:
        request = Request([Viewer(BROWSER, [asked])], round_trip_ms)
        with stage.state() as state, stage.warm_server(peer, state) as server:
            for _ in server.one_by_one():
                stage.ask(server, paths(peer, APERIO, [FAR]))
            subject = run.subject(f"viewport of 24 tiles, cold, {round_trip_ms} ms")
            yield stage.measure(subject, server, request)


def memory(run: Run) -> Iterator[Measurement]:
    """Ask one worker for a tile of each of 100 slides of 100,000 x 80,000 pixels."""
    stage, peer = run.stage, run.peer
    asked = []
    for number in range(VAST_COPIES):
        shape = replace(VAST, name=vast_name(number))
        asked += paths(peer, shape, random_places(shape, [1], 1, seed=number))
    with stage.state() as state, stage.server(peer, state, workers=1) as server:
        request = Request([Viewer(1, [asked])])
        yield stage.measure(run.subject("100 vast slides open"), server, request)


@dataclass(frozen=True)
class Trial:
    """A work load and the servers that take part in it."""

    name: str
    measure: Callable[[Run], Iterator[Measurement]]
    takes_part: Callable[[Peer], bool]


def _everybody(_: Peer) -> bool:
    return True


def _all_but_variants(peer: Peer) -> bool:
    return peer.name not in VARIANTS


def _opens_quickly(peer: Peer) -> bool:
    # tiffslide takes more than half a minute for 100 slides.
    return _all_but_variants(peer) and peer.name != "tiffslide"


def _makes_levels(peer: Peer) -> bool:
    return _all_but_variants(peer) and peer.path(APERIO, Place(2, 0, 0)) is not None


def _from_s3(peer: Peer) -> bool:
    return peer.from_s3


def _ours(peer: Peer) -> bool:
    return peer == OURS_S3


TRIALS = (
    Trial("random", random_tiles, _everybody),
    Trial("panzoom", pan_and_zoom, _all_but_variants),
    Trial("panzoom-again", pan_and_zoom_again, _ours),
    Trial("panzoom-deepzoom", pan_and_zoom_deepzoom, _makes_levels),
    Trial("made", made_levels, _makes_levels),
    Trial("jpeg2000", jpeg2000, _all_but_variants),
    Trial("not-modified", not_modified, _ours),
    Trial("first", first_tile, _from_s3),
    Trial("viewport", viewport, _from_s3),
    Trial("memory", memory, _opens_quickly),
)
