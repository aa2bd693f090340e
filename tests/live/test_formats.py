"""Files that cannot be served: the answer says what they are and what to do."""

import pytest

from tests.live.servers import Server

PATHS = ["/slides/{}", "/tiles/{}/0/0/0.jpg", "/slides/{}/thumbnail", "/slides/{}/dzi", "/view/{}"]


def reason(server: Server, path: str, name: str) -> str:
    answer = server.ask(path.format(name))
    assert answer.error() == (415, "unsupported_format")
    return answer.message


@pytest.mark.parametrize("path", PATHS)
def test_a_huge_flat_file_is_refused_with_the_command_that_converts_it(
    live_server: Server, path: str
) -> None:
    message = reason(live_server, path, "broken/huge-and-flat.tif")
    assert message.startswith("File is not a pyramidal TIFF (single resolution only)")
    assert "vips tiffsave" in message
    assert "--pyramid" in message


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("flat.tif", "File is not a pyramidal TIFF (single resolution only)"),
        ("strips.tif", "File uses strip organization instead of tiles"),
    ],
)
def test_the_operator_decides_how_large_flat_files_may_be(
    configured_server: Server, name: str, beginning: str
) -> None:
    message = reason(configured_server, "/slides/{}", name)
    assert message.startswith(beginning)
    assert "vips tiffsave" in message
    assert configured_server.ask("/slides/tiny.tif").status == 200
    assert configured_server.ask("/slides/plain.svs").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_compression_is_named(live_server: Server, path: str) -> None:
    message = reason(live_server, path, "broken/lzma.tif")
    assert message.startswith("Unsupported compression: LZMA")


def test_jpeg_2000_can_be_switched_off(configured_server: Server, live_server: Server) -> None:
    message = reason(configured_server, "/slides/{}", "jpeg2000-33005.svs")
    assert "JPEG 2000" in message
    assert live_server.ask("/slides/jpeg2000-33005.svs").status == 200


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken/text.svs", "Not a valid TIFF file (invalid magic bytes)"),
        ("broken/empty.svs", "File is too small to be a valid TIFF"),
        ("broken/cut-off.svs", "File is too small to be a valid TIFF"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_file_that_is_no_slide_says_so(
    live_server: Server, path: str, name: str, message: str
) -> None:
    assert reason(live_server, path, name) == message
