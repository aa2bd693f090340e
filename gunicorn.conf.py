"""How gunicorn runs WSI Streamer: `gunicorn wsi_streamer.wsgi:app` and `wsi-streamer` alike.

Every value that a user may want to change is a setting of the server (see the README); the rest
stands here with its reason.
"""

import os
import sys

from wsi_streamer.errors import ConfigError
from wsi_streamer.settings import Settings

try:
    settings = Settings.from_env(os.environ)
    uri = settings.source_uri
except ConfigError as exc:
    sys.exit(f"wsi-streamer: {exc}")

bind = [f"{settings.host}:{settings.port}"]
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
# The path without its query: queries hold signatures and tokens.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms'
