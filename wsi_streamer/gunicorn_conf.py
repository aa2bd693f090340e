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
import threading
from datetime import timedelta
from logging import LogRecord
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
        is_ours = cfg.access_log_format == access_log_format
        self._writes_our_line = is_ours and bool(cfg.accesslog)
        self.error_log.addFilter(remove_queries)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write the line of a request.

        gunicorn looks up everything that a format might name; of ours, it is known.
        """
        if not self._writes_our_line or resp.status is None:
            super().access(resp, req, environ, request_time)
            return
        # A record that is made here need not find out where in the code that is.
        line, name = access_line(resp, environ, request_time), self.access_log.name
        self.access_log.handle(LogRecord(name, logging.INFO, "", 0, line, None, None))

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any
    ) -> dict[str, Any]:
        """Return what the access log may use; %(path)s is the path as it was sent."""
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        atoms["path"] = clean_path(environ)
        return atoms


def access_line(resp: Any, environ: dict[str, Any], request_time: timedelta) -> str:
    """Return what gunicorn makes of `access_log_format`, at a quarter of the cost."""
    client = environ.get("REMOTE_ADDR", "-").replace('"', '\\"')
    method = environ["REQUEST_METHOD"].replace('"', '\\"')
    path = clean_path(environ).replace('"', '\\"')
    millis = request_time.seconds * 1000 + request_time.microseconds // 1000
    return f'{client} "{method} {path}" {resp.status[:3]} {resp.sent} {millis}ms'


def clean_path(environ: dict[str, Any]) -> str:
    """Return the path as it was sent, in characters that can be printed, without the query."""
    path = str(environ.get("RAW_URI", "-")).partition("?")[0]
    return path.encode("unicode_escape").decode("ascii")


def remove_queries(record: logging.LogRecord) -> bool:
    """Cut queries out of a message; always true."""
    record.msg = re.sub(r"\?[^\s'\"]*=[^\s'\"]*", "?...", record.getMessage())
    record.args = ()
    return True


def post_worker_init(worker: Any) -> None:
    """Have made what the first request needs: a client of the storage takes 0.1 s.

    In a thread, since credentials may have to be asked for.
    """
    context = worker.wsgi.extensions["wsi_streamer"]
    threading.Thread(target=context.service.prepare, name="prepare", daemon=True).start()


bind = [settings.bind]
workers = settings.worker_count
threads = settings.threads
# One thread of a worker answers, the others stand by for when it has to wait.
worker_class = "wsi_streamer.worker.tile_worker.TileWorker"
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
