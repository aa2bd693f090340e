"""AnswerFields: the headers of every answer, whatever it is: for safety, and CORS."""

from wsgiref.types import WSGIEnvironment

from flask import Response, request

from wsi_streamer.api.image_response import ImageResponse

# What scripts of other origins may read, besides what browsers always show them.
EXPOSED_HEADERS = (
    "ETag",
    "X-Thumbnail-Actual-Size",
    "X-Thumbnail-Requested-Size",
    "X-Thumbnail-Size-Clamped",
    "X-Tile-Cache-Hit",
    "X-Tile-Encoding",
    "X-Tile-Quality",
)
METHODS = ("GET", "HEAD", "OPTIONS")
PREFLIGHT_AGE_S = 86400

Fields = tuple[tuple[str, str], ...]

SECURITY: Fields = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'"),
)
EXPOSE = ("Access-Control-Expose-Headers", ", ".join(EXPOSED_HEADERS))
# Said to every origin, the refused ones too: a cache must not hand one origin's answer to another.
VARY = ("Vary", "Origin")


class AnswerFields:
    """Adds them to each response; `origins` are those whose scripts may read, or just "*".

    An origin is compared as browsers send it: as a whole, with its case.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._lets_all_read = origins == ("*",)
        self._always = SECURITY if self._lets_all_read else (*SECURITY, VARY)
        self._grants: dict[str, Fields] = {
            it: (("Access-Control-Allow-Origin", it), EXPOSE) for it in origins
        }

    def add(self, response: Response) -> Response:
        """Return the response with its headers; those that a view has set stay as they are."""
        environ = request.environ
        if isinstance(response, ImageResponse):
            response.fields += self.of(environ)
            return response
        grant = self._find_grant(environ)
        if grant and environ["REQUEST_METHOD"] == "OPTIONS":
            grant += _preflight(environ)
        for name, value in (*self._always, *grant):
            if name == "Vary":
                response.vary.add(value)
            else:
                response.headers.setdefault(name, value)
        return response

    def of(self, environ: WSGIEnvironment) -> Fields:
        """Return the headers of the answer to a request that is no OPTIONS."""
        return self._always + self._find_grant(environ)

    def _find_grant(self, environ: WSGIEnvironment) -> Fields:
        """Return what lets the script that asks read the answer; nothing if it may not."""
        origin = "*" if self._lets_all_read else environ.get("HTTP_ORIGIN", "")
        return self._grants.get(origin, ())


def _preflight(environ: WSGIEnvironment) -> Fields:
    """Return what a browser asks before it sends a request of another origin's script."""
    if environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "").upper() not in METHODS:
        return ()
    fields: Fields = (
        ("Access-Control-Max-Age", str(PREFLIGHT_AGE_S)),
        ("Access-Control-Allow-Methods", ", ".join(METHODS)),
    )
    # Any header may be sent: those that we do not know change nothing.
    names = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    if not names:
        return fields
    listed = ", ".join(sorted(name.strip() for name in names.split(",")))
    return (("Access-Control-Allow-Headers", listed), *fields)
