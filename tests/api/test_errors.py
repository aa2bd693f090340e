"""The table of errors: none is forgotten, and the published ones are as published."""

import pytest

from wsi_streamer.api.errors import STATUS_AND_CODE
from wsi_streamer.errors import WsiError

# Of the published contract: code and status.
PUBLISHED = {
    "invalid_level": 400,
    "tile_out_of_bounds": 400,
    "invalid_quality": 400,
    "invalid_signature_format": 400,
    "invalid_expiry_format": 400,
    "missing_signature": 401,
    "missing_expiry": 401,
    "signature_expired": 401,
    "invalid_signature": 401,
    "not_found": 404,
    "unsupported_format": 415,
    "io_error": 500,
    "storage_error": 500,
    "decode_error": 500,
    "encode_error": 500,
    "connection_error": 502,
}


def subclasses(error):
    for child in error.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.mark.parametrize("error", [*subclasses(WsiError)], ids=lambda error: error.__name__)
def test_no_error_reaches_a_client_without_a_status(error):
    assert error in STATUS_AND_CODE


def test_clients_find_every_published_code_with_its_status():
    ours = {code: status for status, code in STATUS_AND_CODE.values()}
    assert {code: ours.get(code) for code in PUBLISHED} == PUBLISHED
