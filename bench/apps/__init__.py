"""Tile servers around the libraries of peers: Flask, one path, no frills.

They run in an environment of their own, where nothing of ours is installed, and answer
/{slide}/{downsample}/{col}/{row} with a JPEG.
"""
