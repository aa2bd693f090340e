"""The WSGI app, configured by environment variables: `gunicorn wsi_streamer.wsgi:app`."""

from wsi_streamer.app import create_app

app = create_app()
