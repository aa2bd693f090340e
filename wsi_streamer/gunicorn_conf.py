"""How gunicorn runs WSI Streamer: `gunicorn -c python:wsi_streamer.gunicorn_conf ...`.

The command does that, and `gunicorn.conf.py` of a checkout hands this on. Every value that a user
may want to change is a setting of the server (see the README); the rest stands here with its
reason.
"""

# gunicorn ships no types.
# mypy: allow-subclassing-any

import logging
import os
import re
import sys
from typing import Any

from gunicorn.glogging import Logger

from wsi_streamer.errors import ConfigError
from wsi_streamer.settings import Settings

try:
    settings = Settings.from_env(os.environ)
    uri = settings.source_uri
except ConfigError as exc:
    sys.exit(f"wsi-streamer: {exc}")


class PrivateLogger(Logger):
    """Writes no queries, for they hold signatures and tokens, and no control characters."""

    def setup(self, cfg: Any) -> None:
        """Set the logs up as gunicorn does, and clean what goes into them."""
        super().setup(cfg)
        self.error_log.addFilter(remove_queries)

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any
    ) -> dict[str, Any]:
        """Return what the access log may use; %(path)s is the path as it was sent."""
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        path = str(environ.get("RAW_URI", "-")).partition("?")[0]
        atoms["path"] = path.encode("unicode_escape").decode("ascii")
        return atoms


def remove_queries(record: logging.LogRecord) -> bool:
    """Cut queries out of a message; always true."""
    record.msg = re.sub(r"\?[^\s'\"]*=[^\s'\"]*", "?...", record.getMessage())
    record.args = ()
    return True


bind = [settings.bind]
workers = settings.worker_count
threads = settings.threads
# Threads wait for storage while others decode; both release the interpreter lock.
worker_class = "gthread"
# Each worker makes its own clients and database handles: none of them survives a fork.
preload_app = False
# Above every deadline of ours, so that a slow storage never costs a worker.
timeout = 60
graceful_timeout = 30
# Browsers keep connections for tiles; nginx in front closes its own first.
keepalive = 75
# The control socket of gunicorn 25 and later is a way in that nobody here uses.
control_socket_disable = True
# Heartbeat files on a disk can stall a worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
errorlog = "-"
loglevel = "debug" if settings.verbose else "info"
accesslog = None if settings.no_tracing else "-"
logger_class = PrivateLogger
access_log_format = '%(h)s "%(m)s %(path)s" %(s)s %(b)s %(M)sms'
# The path that a signature covers must be the path that the app sees.
forwarder_headers = ""
