"""WSI Streamer: tiles of whole-slide images, read by range request from where the slides lie."""

__version__ = "0.1.0"
