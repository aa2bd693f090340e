"""HTTP: one package for each dialect; with `app.py` the only part that knows flask."""

from wsi_streamer.api.native import bp as native

# Every dialect that the server speaks, in order.
APIS = (native,)
