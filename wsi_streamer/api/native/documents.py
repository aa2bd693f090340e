"""A slide's metadata as the JSON document that is published."""

from wsi_streamer.model.slide import Level
from wsi_streamer.service.tile_service import SlideDetails


def make_metadata(slide_id: str, details: SlideDetails) -> dict[str, object]:
    """Return the metadata document: the published fields, then ours."""
    info = details.info
    return {
        "slide_id": slide_id,
        "format": info.format,
        "width": info.size.width,
        "height": info.size.height,
        "level_count": len(info.levels),
        "levels": [_make_level(level) for level in info.levels],
        "mpp_x": info.mpp_x,
        "mpp_y": info.mpp_y,
        "objective_power": info.objective_power,
        "vendor": info.vendor,
        "associated_images": list(info.associated_images),
        "properties": dict(info.properties),
        "version": details.version,
    }


def _make_level(level: Level) -> dict[str, object]:
    return {
        "level": level.index,
        "width": level.size.width,
        "height": level.size.height,
        "tile_width": level.tile_size.width,
        "tile_height": level.tile_size.height,
        "tiles_x": level.grid.columns,
        "tiles_y": level.grid.rows,
        "downsample": level.downsample,
    }
