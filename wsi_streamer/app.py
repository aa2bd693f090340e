"""create_app(): builds every object once and wires it; the only wiring."""

import atexit
import hashlib
import logging
import os
from pathlib import Path

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from wsi_streamer import __version__
from wsi_streamer.api import APIS, errors
from wsi_streamer.api.answer_fields import AnswerFields
from wsi_streamer.api.context import NAME, Context
from wsi_streamer.api.guard import check_target
from wsi_streamer.api.lean_flask import LeanFlask, NoSessions
from wsi_streamer.api.tile_lane import TileLane, raise_failure
from wsi_streamer.auth.allow_all import AllowAll
from wsi_streamer.auth.base import Authenticator
from wsi_streamer.auth.cursor import CursorSigner, load_or_create_key
from wsi_streamer.auth.signed_url import SignedUrlAuthenticator
from wsi_streamer.errors import ConfigError
from wsi_streamer.formats import EXTENSIONS
from wsi_streamer.formats.base import Limits
from wsi_streamer.mappers.direct import DirectMapper
from wsi_streamer.service.encoding import Encoding
from wsi_streamer.service.image_cache import ImageCache
from wsi_streamer.service.index_store import IndexStore
from wsi_streamer.service.pixel_cache import PixelCache
from wsi_streamer.service.reading_locks import ReadingLocks
from wsi_streamer.service.region_reader import RegionReader
from wsi_streamer.service.run_store import RunStore
from wsi_streamer.service.slide_registry import SlideRegistry
from wsi_streamer.service.store_writer import StoreWriter
from wsi_streamer.service.stored_tiles import StoredTiles
from wsi_streamer.service.tile_service import TileService
from wsi_streamer.service.tile_store import TileStore
from wsi_streamer.settings import Settings
from wsi_streamer.storage import open_storage
from wsi_streamer.storage.base import Storage
from wsi_streamer.waiting import HOOK, BeforeWaiting

log = logging.getLogger(__name__)

LAST_WRITES_S = 2.0
DECODING_S = 20.0


class _Json(DefaultJSONProvider):
    """Keeps the published order of fields."""

    sort_keys = False


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI app; settings come from the environment if none are given.

    Opens no socket and no file, so that it can run before a fork; raises ConfigError.
    """
    settings = settings or Settings.from_env(os.environ)
    pages = check_pages(settings)
    app = LeanFlask(
        __name__,
        static_folder=str(pages),
        static_url_path="/static",
        template_folder=str(pages / "pages"),
    )
    # A slide's id may hold any character; "//" in it is a wrong id and no other address.
    app.url_map.merge_slashes = False
    app.json = _Json(app)
    app.session_interface = NoSessions()
    app.config["MAX_CONTENT_LENGTH"] = 0
    before_waiting = BeforeWaiting()
    app.extensions[HOOK] = before_waiting
    app.extensions[NAME] = context = make_context(settings, before_waiting)
    app.before_request(check_target)
    app.before_request(raise_failure)
    for api in APIS:
        app.register_blueprint(api)
    errors.register(app)
    fields = AnswerFields(settings.cors_origins)
    app.after_request(fields.add)
    # The way in of Flask's for what stands before it.
    app.wsgi_app = TileLane(app.wsgi_app, context, fields)  # type: ignore[method-assign]
    _set_up_logging(settings)
    return app


def make_service(settings: Settings, before_waiting: BeforeWaiting) -> TileService:
    """Return the tile service that the settings describe."""
    storage = make_storage(settings)
    mapper = DirectMapper(storage, EXTENSIONS, max_list_calls=settings.list_pages)
    store = TileStore(settings.cache_path, settings.cache_tiles)
    writer = StoreWriter(store.put_many)
    # What waits to be written when a worker ends is worth a moment.
    atexit.register(writer.flush, LAST_WRITES_S)
    # Whoever waits for another thread waits for the storage, and for decoding.
    patience_s = settings.s3_timeout + DECODING_S
    registry = SlideRegistry(
        mapper,
        IndexStore(store, writer),
        make_limits(settings),
        max_slides=settings.cache_slides,
        revalidate_s=settings.revalidate_s,
        patience_s=patience_s,
        before_waiting=before_waiting,
    )
    # Finished images are asked for again and again, tiles that were read ahead once.
    for_tiles = settings.cache_memory // 4
    tiles = StoredTiles(
        ReadingLocks(settings.cache_path / "reading.lock" if settings.cache_tiles else None),
        RunStore(store, writer),
        max_ahead=settings.read_ahead,
        max_memory=for_tiles,
        patience_s=settings.s3_timeout,
    )
    return TileService(
        mapper,
        registry,
        RegionReader(PixelCache(settings.cache_pixels), max_pixels=settings.flat_max_pixels),
        tiles,
        ImageCache(store, writer, max_memory=settings.cache_memory - for_tiles),
        encoding=make_encoding(settings),
        patience_s=patience_s,
        before_waiting=before_waiting,
    )


def make_encoding(settings: Settings) -> Encoding:
    """Return how images leave: a quality that the operator has set holds for all of them."""
    if settings.jpeg_quality is not None:
        return Encoding(settings.jpeg_quality, passes_source=False)
    return Encoding(passes_source=settings.tile_encoding == "source")


def make_storage(settings: Settings) -> Storage:
    """Return the storage that the settings name; nothing is asked of it yet."""
    return open_storage(
        settings.source_uri,
        endpoint_url=settings.s3_endpoint or None,
        region=settings.s3_region,
        anonymous=settings.s3_anonymous,
        timeout_s=settings.s3_timeout,
        coalesce_gap=settings.coalesce_gap,
        max_connections=settings.s3_connections,
    )


def make_limits(settings: Settings) -> Limits:
    """Return the limits that formats keep."""
    return Limits(
        flat_max_pixels=settings.flat_max_pixels,
        open_max_bytes=settings.open_max_bytes,
        open_max_requests=settings.open_max_requests,
        open_timeout_s=settings.open_timeout,
        block_size=settings.block_size,
        cache_blocks=settings.cache_blocks,
        max_tiles=settings.max_tiles,
        max_tile_side=settings.max_tile_side,
        jpeg2000=settings.jpeg2000,
    )


def make_context(settings: Settings, before_waiting: BeforeWaiting) -> Context:
    """Return what the views work with."""
    return Context(
        service=make_service(settings, before_waiting),
        authenticator=make_authenticator(settings),
        cursors=CursorSigner(_cursor_key(settings)),
        cache_max_age=settings.cache_max_age,
        version=__version__,
    )


def make_authenticator(settings: Settings) -> Authenticator:
    """Return the authenticator that the settings ask for."""
    if not settings.auth_enabled:
        return AllowAll()
    return SignedUrlAuthenticator(
        settings.secrets(),
        view_is_public=settings.view_access == "public",
        token_ttl_s=settings.viewer_token_ttl,
    )


def _cursor_key(settings: Settings) -> bytes:
    """Return a key that all workers share: the secret or, without one, a file of the cache."""
    secrets = settings.secrets()
    if secrets:
        return secrets[0]
    try:
        return load_or_create_key(settings.cache_path / "cursor.key")
    except ConfigError as exc:
        # Everybody may list everything here: a cursor that can be made up gives nothing away.
        log.warning("cursors of listings can be made up: %s", exc)
        return hashlib.sha256(os.fsencode(settings.source_uri)).digest()


def check_pages(settings: Settings) -> Path:
    """Return the folder of the web pages; raises ConfigError if it has none."""
    folder = settings.static_path
    if not (folder / "pages" / "viewer.html").is_file():
        raise ConfigError(f"{folder} has no web pages (WSI_STATIC_DIR)")
    return folder


def _set_up_logging(settings: Settings) -> None:
    ours = logging.getLogger("wsi_streamer")
    ours.setLevel(logging.DEBUG if settings.verbose else logging.INFO)
    if not ours.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        ours.addHandler(handler)
    # What tifffile finds wrong with a file, we tell the client who asked for it.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
