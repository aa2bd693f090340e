"""The WSGI app, configured by environment variables: `gunicorn wsi_streamer.wsgi:app`."""

import sys

from wsi_streamer.app import create_app
from wsi_streamer.errors import ConfigError

# gunicorn's own code for an app that cannot be loaded: it stops instead of trying again for ever.
APP_LOAD_ERROR = 4

try:
    app = create_app()
except ConfigError as exc:
    sys.stderr.write(f"wsi-streamer: {exc}\n")
    sys.exit(APP_LOAD_ERROR)
