"""Documents to responses: types, caching, validators."""

from flask import Response, jsonify, request


def json_response(document: dict[str, object]) -> Response:
    """Return a JSON document that has to be asked for again each time."""
    return _validated(jsonify(document))


def xml_response(text: str) -> Response:
    """Return an XML document that has to be asked for again each time."""
    return _validated(Response(text, mimetype="application/xml"))


def _validated(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
