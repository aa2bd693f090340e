"""The errors of the whole package; what each means in HTTP is decided in `api/errors.py`.

WsiError
├── ConfigError                 the server cannot start like this
├── BadRequest                  the question makes no sense
│   ├── BadParameter            a query parameter or cursor
│   ├── InvalidLevel, TileOutOfBounds, InvalidQuality, RegionTooLarge
├── SlideNotFound               no such slide (or no such part of it)
├── UnsupportedFormat           the object is there, but not a slide that we serve
├── DecodeError, EncodeError    a codec failed
├── StorageError                the storage answered, with an error
│   ├── StorageReadError        bytes could not be read, or were not those asked for
│   │   └── SlideChanged        the object was replaced since it was opened
│   └── StorageUnreachable      the storage did not answer
└── Unauthorized                see `auth/`
    ├── MissingSignature, MissingExpiry
    ├── SignatureExpired, InvalidSignature
    └── InvalidSignatureFormat, InvalidExpiryFormat
"""


class WsiError(Exception):
    """Root of everything that this package raises on purpose; its text is fit for users."""


class ConfigError(WsiError):
    """The configuration is wrong; the text says what to change, in one line."""


class BadRequest(WsiError):
    """The request cannot be answered, whatever the slide."""


class BadParameter(BadRequest):
    """A query parameter has a value outside its grammar."""


class InvalidLevel(BadRequest):
    """The slide has no such level."""


class TileOutOfBounds(BadRequest):
    """The level has no such tile."""


class InvalidQuality(BadRequest):
    """The quality is not an integer from 1 to 100."""


class RegionTooLarge(BadRequest):
    """Answering would need more pixels than the server is allowed to read."""


class SlideNotFound(WsiError):
    """No slide has this id, or the slide has no such part."""


class UnsupportedFormat(WsiError):
    """The object exists but is not a slide that can be served; the text says why."""


class DecodeError(WsiError):
    """Stored pixels cannot be decoded."""


class EncodeError(WsiError):
    """Pixels cannot be encoded for the answer."""


class StorageError(WsiError):
    """The storage refused or failed."""


class StorageReadError(StorageError):
    """Bytes could not be read, or the answer was not what was asked for."""


class SlideChanged(StorageReadError):
    """The object is no longer the version that was opened."""


class StorageUnreachable(StorageError):
    """The storage could not be reached, or did not answer in time."""


class Unauthorized(WsiError):
    """The request may not pass."""


class MissingSignature(Unauthorized):
    """Neither `sig` nor `vt` was sent."""


class MissingExpiry(Unauthorized):
    """`exp` was not sent."""


class SignatureExpired(Unauthorized):
    """`exp` lies in the past."""


class InvalidSignature(Unauthorized):
    """The signature or token belongs to another request or secret."""


class InvalidSignatureFormat(Unauthorized):
    """The signature or token is not 64 lower-case hexadecimal digits."""


class InvalidExpiryFormat(Unauthorized):
    """`exp` is not a Unix time in seconds."""
