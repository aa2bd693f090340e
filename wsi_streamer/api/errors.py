"""What each error means in HTTP: one table, and one shape of answer for all."""

import logging

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from wsi_streamer.errors import (
    BadParameter,
    BadRequest,
    ConfigError,
    DecodeError,
    EncodeError,
    InvalidExpiryFormat,
    InvalidLevel,
    InvalidQuality,
    InvalidSignature,
    InvalidSignatureFormat,
    MissingExpiry,
    MissingSignature,
    RegionTooLarge,
    SignatureExpired,
    SlideChanged,
    SlideNotFound,
    StorageError,
    StorageReadError,
    StorageUnreachable,
    TileOutOfBounds,
    Unauthorized,
    UnsupportedFormat,
    WsiError,
)

log = logging.getLogger("wsi_streamer")

STATUS_AND_CODE: dict[type[WsiError], tuple[int, str]] = {
    ConfigError: (500, "configuration_error"),
    BadRequest: (400, "bad_request"),
    BadParameter: (400, "invalid_parameter"),
    InvalidLevel: (400, "invalid_level"),
    TileOutOfBounds: (400, "tile_out_of_bounds"),
    InvalidQuality: (400, "invalid_quality"),
    RegionTooLarge: (400, "region_too_large"),
    SlideNotFound: (404, "not_found"),
    UnsupportedFormat: (415, "unsupported_format"),
    DecodeError: (500, "decode_error"),
    EncodeError: (500, "encode_error"),
    StorageError: (500, "storage_error"),
    StorageReadError: (500, "io_error"),
    SlideChanged: (500, "io_error"),
    StorageUnreachable: (502, "connection_error"),
    Unauthorized: (401, "unauthorized"),
    MissingSignature: (401, "missing_signature"),
    MissingExpiry: (401, "missing_expiry"),
    SignatureExpired: (401, "signature_expired"),
    InvalidSignature: (401, "invalid_signature"),
    InvalidSignatureFormat: (400, "invalid_signature_format"),
    InvalidExpiryFormat: (400, "invalid_expiry_format"),
}

# Errors of the web framework itself; what is not here is called by its status.
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 400: "bad_request"}
MESSAGES = {
    404: "There is nothing at this URL",
    405: "Only GET, HEAD and OPTIONS are allowed here",
}


def error_response(status: int, code: str, message: str) -> Response:
    """Return the published shape of an error."""
    response = jsonify(error=code, message=message, status=status)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def register(app: Flask) -> None:
    """Make every error of the app answer in JSON."""
    app.register_error_handler(WsiError, on_wsi_error)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_bug)


def on_wsi_error(error: WsiError) -> Response:
    """Return the answer to an error of ours; what is the server's fault is logged."""
    status, code = STATUS_AND_CODE[type(error)]
    if status >= 500:
        log.warning("%s: %s", code, error)
    return error_response(status, code, str(error))


def _on_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = HTTP_CODES.get(status, "request_error" if status < 500 else "internal_error")
    message = MESSAGES.get(status) or error.description or error.name
    response = error_response(status, code, message)
    for name, value in error.get_headers():
        if name in ("Allow", "Location", "Retry-After"):
            response.headers[name] = value
    return response


def _on_bug(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return error_response(500, "internal_error", "An unexpected error occurred; see the log")
