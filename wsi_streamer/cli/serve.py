"""`wsi-streamer [serve] URI`: start the server."""

import os
import socket
import sys
from urllib.parse import quote

import click

from wsi_streamer import __version__
from wsi_streamer.app import check_pages
from wsi_streamer.cli.options import OneLine, merge_env, setting_options, storage_of
from wsi_streamer.errors import ConfigError, WsiError
from wsi_streamer.formats import EXTENSIONS
from wsi_streamer.mappers.direct import DirectMapper
from wsi_streamer.settings import ANY_ADDRESS, Settings
from wsi_streamer.storage.base import Storage

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command()
@click.argument("source", required=False)
@setting_options()
def serve(source: str | None, **flags: str | bool | None) -> None:
    """Start the server (the default command)."""
    environ = merge_env(source, flags)
    try:
        settings = Settings.from_env(environ)
        storage = storage_of(settings)
        check_pages(settings)
        _check_port(settings)
        _announce(settings, storage)
    except WsiError as exc:
        raise OneLine(str(exc)) from exc
    sys.stdout.flush()
    # The server is gunicorn itself, in place of this process: signals reach it directly.
    config = "python:wsi_streamer.gunicorn_conf"
    command = [sys.executable, "-m", "gunicorn", "--config", config, "wsi_streamer.wsgi:app"]
    os.execve(sys.executable, command, environ)


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as exc:
        raise ConfigError(
            f"cannot listen on {settings.bind}: {exc.strerror} (choose another with --port)"
        ) from exc


def _announce(settings: Settings, storage: Storage) -> None:
    is_here = settings.host in (*LOOPBACK, ANY_ADDRESS, "::")
    base = f"http://localhost:{settings.port}" if is_here else f"http://{settings.bind}"
    click.echo(f"WSI Streamer {__version__} serves {storage.name}")
    click.echo(f"  slides  {base}/")
    click.echo(f"  viewer  {base}/view/{{slide_id}}")
    click.echo(f"  health  {base}/health")
    names = DirectMapper(storage, EXTENSIONS, max_list_calls=1).list(
        prefix="", search="", after="", limit=3
    )
    for name in names.names:
        click.echo(f"  e.g.    {base}/view/{quote(name)}")
    if not settings.auth_enabled:
        is_private = settings.host in LOOPBACK
        who = "this machine" if is_private else "anybody who reaches this address"
        click.echo(
            f"warning: authentication is off: {who} can see all slides (--auth-enabled)", err=True
        )
    elif settings.view_access == "public":
        click.echo(
            "warning: /view/{slide_id} is open to anybody who knows a slide's name "
            "(--view-access signed)",
            err=True,
        )
