"""The access log: the line that gunicorn would write, without queries and control characters."""

import importlib
import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.glogging import SafeAtoms

ENVIRON = {
    "REMOTE_ADDR": "192.0.2.7",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/tiles/a.svs/0/1/2.jpg",
    "SERVER_PROTOCOL": "HTTP/1.1",
}
REQUEST = SimpleNamespace(headers=[("HOST", "slides.example")])


class Lines(logging.Handler):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())


@pytest.fixture
def conf(monkeypatch, tmp_path):
    monkeypatch.setenv("WSI_SOURCE", str(tmp_path))
    return importlib.import_module("wsi_streamer.gunicorn_conf")


@pytest.fixture
def make_logger(conf):
    """Make a logger and the list of what it writes."""

    def make(access_log_format=conf.access_log_format):
        config = Config()
        config.set("accesslog", "-")
        config.set("access_log_format", access_log_format)
        logger, lines = conf.PrivateLogger(config), Lines()
        logger.access_log.handlers[:] = [lines]
        return logger, lines.seen

    yield make
    logging.getLogger("gunicorn.access").handlers.clear()
    logging.getLogger("gunicorn.error").handlers.clear()


def answer(status="200 OK", sent=5177):
    return SimpleNamespace(status=status, sent=sent, headers=[("ETag", '"a"')])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"RAW_URI": "/slides?sig=secret&exp=1"},
        {"RAW_URI": "/slides/a%0Ab.svs"},
        {"RAW_URI": '/slides/quoted"name.svs'},
        {"RAW_URI": "/slides/\xff\x1b[31m.svs"},
        {"RAW_URI": "*", "REQUEST_METHOD": "OPTIONS"},
        {"REMOTE_ADDR": "2001:db8::1"},
        {"REMOTE_ADDR": ""},
    ],
)
@pytest.mark.parametrize("took", [timedelta(), timedelta(seconds=2, microseconds=345_678)])
def test_tools_that_read_the_log_find_the_line_that_gunicorn_writes(
    conf, make_logger, changes, took
):
    logger, lines = make_logger()
    environ = ENVIRON | changes
    for response in (answer(), answer("304 NOT MODIFIED", 0), answer("404 NOT FOUND", 93)):
        logger.access(response, REQUEST, environ, took)
        atoms = SafeAtoms(logger.atoms(response, REQUEST, environ, took))
        assert lines.pop() == conf.access_log_format % atoms
    assert not lines


def test_the_line_tells_who_asked_for_what_and_how_it_went(make_logger):
    logger, lines = make_logger()
    logger.access(answer(), REQUEST, ENVIRON, timedelta(microseconds=1999))
    assert lines == ['192.0.2.7 "GET /tiles/a.svs/0/1/2.jpg" 200 5177 1ms']


def test_no_signature_and_no_line_break_of_a_client_is_written(make_logger):
    logger, lines = make_logger()
    environ = ENVIRON | {"RAW_URI": "/slides/a\n\r\x85.svs?sig=topsecret"}
    logger.access(answer(), REQUEST, environ, timedelta())
    (line,) = lines
    assert "topsecret" not in line
    assert line.isprintable()


def test_a_request_that_failed_before_its_answer_is_logged_too(make_logger):
    logger, lines = make_logger()
    logger.access(answer(status=None, sent=0), REQUEST, ENVIRON, timedelta())
    assert lines == ['192.0.2.7 "GET /tiles/a.svs/0/1/2.jpg" None 0 0ms']


def test_an_operator_may_choose_another_format(make_logger):
    logger, lines = make_logger("%(s)s %(path)s %({host}i)s")
    logger.access(answer(), REQUEST, ENVIRON | {"RAW_URI": "/a?sig=x"}, timedelta())
    assert lines == ["200 /a slides.example"]
