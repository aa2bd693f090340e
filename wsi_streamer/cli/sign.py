"""`wsi-streamer sign`: signed URLs for those who know the secret."""

import json
import os
import time

import click

from wsi_streamer.auth.link import make_link
from wsi_streamer.cli.options import OneLine
from wsi_streamer.errors import WsiError


@click.command()
@click.option("--path", required=True, help="Path to sign, such as /tiles/slide.svs/0/0/0.jpg.")
@click.option("--secret", envvar="WSI_AUTH_SECRET", help="HMAC secret. [WSI_AUTH_SECRET]")
@click.option(
    "--ttl",
    type=click.IntRange(1, 10**9),
    default=3600,
    show_default=True,
    help="Seconds that the URL is valid.",
)
@click.option("--base-url", default="", help="What stands before the path: https://host:port.")
@click.option(
    "--params",
    multiple=True,
    metavar="K=V[,K=V]",
    help="Query parameters to sign; may be given several times.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["url", "json", "signature"]),
    default="url",
    show_default=True,
    help="What to print.",
)
def sign(
    path: str, secret: str | None, ttl: int, base_url: str, params: tuple[str, ...], form: str
) -> None:
    """Print a signed URL."""
    if not secret:
        raise OneLine("a secret is needed: --secret or WSI_AUTH_SECRET")
    try:
        link = make_link(
            os.fsencode(secret),
            path,
            ttl_s=ttl,
            base_url=base_url,
            params=parse_params(params),
            now=time.time(),
        )
    except WsiError as exc:
        raise OneLine(str(exc)) from exc
    document = {
        "signature": link.signature,
        "expiry": link.expiry,
        "path": link.path,
        "ttl": link.ttl,
        "url": link.url,
    }
    texts = {"url": link.url, "signature": link.signature, "json": json.dumps(document, indent=2)}
    click.echo(texts[form])


def parse_params(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the pairs of "k=v,k=v" texts; a comma in a value is one if no "=" follows it."""
    pairs: list[tuple[str, str]] = []
    for piece in (piece for text in texts for piece in text.split(",")):
        key, found, value = piece.partition("=")
        if found and key:
            pairs.append((key.strip(), value))
        elif pairs and piece:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{piece}")
        elif piece:
            raise OneLine(f"--params takes key=value, not {piece!r}")
    return pairs
