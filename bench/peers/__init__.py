"""The servers under test: ours and the peers, each a small class that says how it is started."""

from bench.peers.base import Peer
from bench.peers.iipsrv import Iipsrv
from bench.peers.ours import Ours
from bench.peers.python_peers import PYTHON_PEERS
from bench.peers.wsistreamer import WsiStreamerRust

OURS_S3 = Ours(from_s3=True)
OURS_FOLDER = Ours(from_s3=False)
PEERS: tuple[Peer, ...] = (OURS_S3, OURS_FOLDER, *PYTHON_PEERS, Iipsrv(), WsiStreamerRust())
