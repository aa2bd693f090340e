"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from wsi_streamer.api.errors import STATUS_AND_CODE
from wsi_streamer.api.native import SCOPES
from wsi_streamer.app import create_app
from wsi_streamer.settings import Settings

ROOT = Path(__file__).parent.parent
API = (ROOT / "docs/api.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.fixture
def app(tmp_path):
    return create_app(Settings(source=str(tmp_path), cache_dir=str(tmp_path / "cache")))


def test_every_url_of_the_server_is_in_the_documents(app):
    names = {"col": "x", "row": "y"}
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        url = re.sub(r"<(?:path:)?(\w+)>", lambda it: f"{{{names.get(it[1], it[1])}}}", rule.rule)
        url = re.sub(r"_files/.*", "_files/", url)
        assert url in API, url


def test_no_url_is_open_because_it_was_forgotten(app):
    endpoints = {rule.endpoint.rpartition(".")[2] for rule in app.url_map.iter_rules()}
    assert endpoints - {"static"} == set(SCOPES)


def test_every_error_code_is_in_the_documents():
    codes = {code for _, code in STATUS_AND_CODE.values()}
    # Nobody meets these: they are roots of others, or stop the server before it starts.
    codes -= {"configuration_error", "unauthorized"}
    assert {code for code in codes if f"`{code}`" not in API} == set()


def test_every_file_that_the_readme_names_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
