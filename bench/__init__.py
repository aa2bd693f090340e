"""Measures this server against its peers and writes docs/performance.md: `make bench`.

`paint` makes the slides, `peers` starts the servers, `trials` asks them for tiles through `load`
while `proxy` stands before the storage and counts, and `report` writes down what came out.
"""
