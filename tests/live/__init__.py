"""Tests of the real thing: gunicorn with workers, a real S3 server, a real browser, real slides."""
