"""DeepZoom: /slides/{slide_id}/dzi and /slides/{slide_id}.dzi, with the tiles beside them.

Clients make the address of the tiles from that of the descriptor: what stands behind the last
"/" without its ending, and "_files".
"""

from dataclasses import dataclass

from flask import Blueprint, Response, request
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from wsi_streamer.api import params
from wsi_streamer.api.context import tile_service
from wsi_streamer.api.image_response import image_response, what_client_has
from wsi_streamer.api.responses import xml_response
from wsi_streamer.errors import InvalidLevel, TileOutOfBounds
from wsi_streamer.model.geometry import Region, ScaledRegion, Size, TileGrid
from wsi_streamer.model.slide import SlideInfo

bp = Blueprint("deepzoom", __name__)

DEFAULT_TILE = 256
# Stored tiles of these sides are worth keeping: each DeepZoom tile is then one stored tile.
SMALLEST_TILE, LARGEST_TILE = 128, 1024

DESCRIPTOR = """<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008"
       TileSize="{tile}"
       Overlap="0"
       Format="jpg">
  <Size Width="{width}" Height="{height}" />
</Image>"""


class DeepZoomTile(BaseConverter):
    """The last part of a tile's path: "column_row.jpg".

    A slide may lie in a folder called "x_files" as well; its name looks otherwise.
    """

    regex = r"-?[0-9]+_-?[0-9]+(?:\.jpg)?"


@bp.record_once
def _register_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["deepzoom_tile"] = DeepZoomTile


@dataclass(frozen=True, slots=True)
class DeepZoom:
    """A slide as DeepZoom sees it: each level half as large as the next, level 0 one pixel."""

    size: Size
    tile: int

    @property
    def top_level(self) -> int:
        """The level of full resolution."""
        return (max(self.size.width, self.size.height) - 1).bit_length()

    def grid(self, level: int) -> TileGrid:
        """Return the tiles of a level."""
        downsample = self.downsample(level)
        size = Size(-(-self.size.width // downsample), -(-self.size.height // downsample))
        return TileGrid(size, Size(self.tile, self.tile))

    def downsample(self, level: int) -> int:
        """Return how many pixels of full resolution a pixel of a level is wide."""
        return 1 << (self.top_level - level)


def make_deepzoom(info: SlideInfo) -> DeepZoom:
    """Return the DeepZoom image of a slide, cut as its level 0 is where that is sensible."""
    tile = info.levels[0].tile_size
    keeps = tile.width == tile.height and SMALLEST_TILE <= tile.width <= LARGEST_TILE
    return DeepZoom(info.size, tile.width if keeps else DEFAULT_TILE)


@bp.get("/slides/<path:slide_id>/dzi")
@bp.get("/slides/<path:slide_id>.dzi")
def get_descriptor(slide_id: str) -> Response:
    """Return the descriptor."""
    image = make_deepzoom(tile_service().details(slide_id).info)
    width, height = image.size.width, image.size.height
    return xml_response(DESCRIPTOR.format(tile=image.tile, width=width, height=height))


@bp.get("/slides/<path:slide_id>/dzi_files/<level>/<deepzoom_tile:place>")
@bp.get("/slides/<path:slide_id>_files/<level>/<deepzoom_tile:place>")
def get_deepzoom_tile(slide_id: str, level: str, place: str) -> Response:
    """Return a tile as JPEG; `place` is "column_row.jpg"."""
    col, _, row = place.removesuffix(params.TILE_SUFFIX).partition("_")
    address = params.tile_address(level, col, row)
    quality, have = params.quality(), what_client_has(request.environ)

    def find_place(info: SlideInfo) -> ScaledRegion:
        image = make_deepzoom(info)
        region = _region(image, address.level, address.col, address.row)
        return ScaledRegion(image.downsample(address.level), region)

    return image_response(tile_service().region(slide_id, find_place, quality, have))


def _region(image: DeepZoom, level: int, col: int, row: int) -> Region:
    if not 0 <= level <= image.top_level:
        raise InvalidLevel(f"DeepZoom level {level} does not exist (0-{image.top_level})")
    grid = image.grid(level)
    if not grid.contains(col, row):
        raise TileOutOfBounds(
            f"DeepZoom tile ({col}, {row}) is out of bounds for level {level} "
            f"(valid range: x 0-{grid.columns - 1}, y 0-{grid.rows - 1})"
        )
    return grid.region(col, row)
