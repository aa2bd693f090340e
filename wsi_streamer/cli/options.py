"""Settings as flags, shared by the commands, and how errors are told."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import IO, Any

import click

from wsi_streamer.app import make_storage
from wsi_streamer.settings import Settings, env_name, flag_name
from wsi_streamer.storage.base import Storage


class OneLine(click.ClickException):
    """An error that is told in one line."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line on standard error."""
        click.echo(f"wsi-streamer: {self.message}", err=True)


def setting_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the flags of settings; all but the source if none are named."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for item in reversed(fields(Settings)):
            if item.name == "source" or (names and item.name not in names):
                continue
            shown = item.metadata["shown"] or str(item.default).lower()
            text = f"{item.metadata['help']}. [{env_name(item.name)}; default: {shown}]"
            # Values stay text: settings.py is the one parser of flags and variables alike.
            flag = flag_name(item.name)
            if isinstance(item.default, bool):
                no_flag = flag.replace("--no-", "--") if "--no-" in flag else f"--no-{flag[2:]}"
                option = click.option(f"{flag}/{no_flag}", item.name, help=text, default=None)
            else:
                option = click.option(flag, item.name, help=text, metavar="TEXT")
            command = option(command)
        return command

    return decorate


def read_settings(source: str | None, flags: Mapping[str, str | bool | None]) -> Settings:
    """Return the settings of the environment with the flags over it; raises ConfigError."""
    return Settings.from_env(merge_env(source, flags))


def merge_env(source: str | None, flags: Mapping[str, str | bool | None]) -> dict[str, str]:
    """Return the environment with the flags in it: a flag beats a variable."""
    environ = dict(os.environ)
    if flags.get("s3_bucket"):
        environ.pop(env_name("source"), None)
    values = {env_name(name): str(value) for name, value in flags.items() if value is not None}
    if source:
        values[env_name("source")] = source
    return environ | values


def storage_of(settings: Settings) -> Storage:
    """Return the storage that the settings name; raises ConfigError if it does not answer."""
    storage = make_storage(settings)
    storage.check()
    return storage
