"""`wsi-streamer demo`: paint a slide to try the server with."""

from pathlib import Path

import click

from wsi_streamer.cli.options import OneLine
from wsi_streamer.demo import paint_demo
from wsi_streamer.errors import WsiError


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"))
@click.option("--width", type=click.IntRange(1024, 200_000), default=24_000, show_default=True)
@click.option("--height", type=click.IntRange(1024, 200_000), default=18_000, show_default=True)
def demo(folder: Path, width: int, height: int) -> None:
    """Paint a demo slide into FOLDER (.demo), once."""
    path = folder / "demo.svs"
    if path.exists():
        click.echo(f"{path} is there already")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with click.progressbar(length=1000, label="Painting a demo slide") as bar:
            done = 0

            def show(share: float) -> None:
                nonlocal done
                bar.update(int(share * 1000) - done)
                done = int(share * 1000)

            paint_demo(path, width=width, height=height, progress=show)
    except OSError as exc:
        raise OneLine(f"cannot write {path}: {exc.strerror}") from exc
    except WsiError as exc:
        raise OneLine(str(exc)) from exc
    click.echo(f"{path}: {path.stat().st_size / 1e6:.0f} MB, try: wsi-streamer {folder}")
