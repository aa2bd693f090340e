"""The command `wsi-streamer`, and the same as `flask wsi`: serve, sign, check and demo."""

from importlib import import_module

import click

from wsi_streamer import __version__

COMMANDS = ("serve", "sign", "check", "demo")


class _Commands(click.Group):
    """Imports a command when it is used, and takes `serve` where none is named.

    Signing a URL needs neither a codec nor an S3 client: it is done before they are imported.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name: the function of that name in the module of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"wsi_streamer.cli.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `serve` before arguments that begin with no command."""
        if not args or (args[0] not in COMMANDS and args[0] not in ("--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the flags of `serve`, the command that people start with."""
        serve = self.get_command(ctx, "serve")
        if serve:
            serve.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_Commands, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, prog_name="wsi-streamer")
def wsi() -> None:
    """Serve tiles of whole-slide images from S3-compatible storage or a folder.

    \b
    wsi-streamer s3://bucket/prefix     serve slides of a bucket
    wsi-streamer ./slides               serve slides of a folder
    """


def main() -> None:
    """Run the command; the entry point of the package."""
    wsi(prog_name="wsi-streamer")
