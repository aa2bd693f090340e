"""BeforeWaiting: what a thread calls before it waits or works for long."""

from collections.abc import Callable

# Where an app keeps it for the server that runs it, in `Flask.extensions`.
HOOK = "wsi_streamer.before_waiting"


class BeforeWaiting:
    """Does what the server that runs the app has asked for, and nothing where none has.

    A server that lets one thread answer what is quickly answered has to know when that thread
    will be busy with something else.
    """

    def __init__(self) -> None:
        self._act: Callable[[], None] = _nothing

    def __call__(self) -> None:
        """Tell the server that this thread will not be back soon."""
        self._act()

    def tell(self, act: Callable[[], None]) -> None:
        """Have `act` called from now on, by the thread that will wait."""
        self._act = act


def _nothing() -> None:
    """Nobody has to know."""
