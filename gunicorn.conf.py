"""What `gunicorn wsi_streamer.wsgi:app` reads in a checkout; elsewhere, name the module itself:
`gunicorn -c python:wsi_streamer.gunicorn_conf wsi_streamer.wsgi:app`.
"""

from wsi_streamer.gunicorn_conf import *
