"""`wsi-streamer check`: is the configuration right, does the storage answer, does a slide open?"""

import time

import click

from wsi_streamer.app import make_limits, make_storage
from wsi_streamer.cli.options import OneLine, read_settings, setting_options
from wsi_streamer.errors import WsiError
from wsi_streamer.formats import EXTENSIONS, open_slide
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.mappers.direct import DirectMapper
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.settings import Settings
from wsi_streamer.storage.base import Storage

STORAGE_FIELDS = ("s3_bucket", "s3_endpoint", "s3_region", "s3_anonymous", "s3_timeout")


@click.command()
@click.argument("source", required=False)
@click.option("--list-slides", is_flag=True, help="Print the slides that are found.")
@click.option("--test-slide", metavar="ID", help="Open a slide and decode a tile.")
@setting_options(*STORAGE_FIELDS)
def check(
    source: str | None, list_slides: bool, test_slide: str | None, **flags: str | bool | None
) -> None:
    """Check the configuration and the connection to the storage."""
    try:
        settings = read_settings(source, flags)
        _check_storage(settings, list_slides, test_slide)
    except WsiError as exc:
        raise OneLine(str(exc)) from exc
    click.echo("All checks passed!")


def _check_storage(settings: Settings, list_slides: bool, test_slide: str | None) -> None:
    storage = make_storage(settings)
    uri = settings.source_uri
    if uri.lower().startswith("s3://"):
        bucket, _, prefix = uri[len("s3://") :].partition("/")
        click.echo(f"Bucket:     {bucket}" + (f" (prefix {prefix})" if prefix else ""))
        click.echo(f"Endpoint:   {settings.s3_endpoint or 'AWS'}")
        click.echo(f"Region:     {settings.s3_region}")
    else:
        click.echo(f"Folder:     {uri}")
    storage.check()
    click.echo("Connection: ok")
    if list_slides:
        _list_slides(storage)
    if test_slide:
        _test_slide(storage, settings, test_slide)


def _list_slides(storage: Storage) -> None:
    mapper = DirectMapper(storage, EXTENSIONS, max_list_calls=20)
    after, count, is_over = "", 0, False
    while not is_over:
        page = mapper.list(prefix="", search="", after=after, limit=1000)
        for name in page.names:
            click.echo(f"  {name}")
        count += len(page.names)
        is_over, after = page.last is None, page.last or ""
    click.echo(f"Slides:     {count}")


def _test_slide(storage: Storage, settings: Settings, slide_id: str) -> None:
    location = DirectMapper(storage, EXTENSIONS, max_list_calls=1).locate(slide_id)
    started = time.perf_counter()
    slide = open_slide(location.storage.open(location.key), make_limits(settings))
    opened = time.perf_counter()
    info = slide.info
    click.echo(f"Slide:      {slide_id}")
    click.echo(f"Format:     {info.format}, opened in {1000 * (opened - started):.0f} ms")
    click.echo(f"Size:       {info.size.width} x {info.size.height} pixels")
    for level in info.levels:
        made = "" if level.stored_tile_size else ", made on demand"
        click.echo(
            f"Level {level.index}:    {level.size.width} x {level.size.height}, tiles "
            f"{level.tile_size.width} x {level.tile_size.height}, 1:{level.downsample:g}{made}"
        )
    mpp = "unknown" if info.mpp_x is None else f"{info.mpp_x:g} x {info.mpp_y:g}"
    click.echo(f"mpp:        {mpp}")
    grid = info.levels[0].stored_grid
    if grid:
        middle = TileAddress(0, grid.columns // 2, grid.rows // 2)
        started = time.perf_counter()
        decode_tile(slide.read_tiles([middle])[0])
        took = 1000 * (time.perf_counter() - started)
        click.echo(f"Tile:       level 0, {middle.col}, {middle.row} decoded in {took:.1f} ms")
    slide.close()
