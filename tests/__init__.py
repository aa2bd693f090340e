"""The tests of WSI Streamer; a package, so that tests can import each other's helpers by name."""
