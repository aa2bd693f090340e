"""Settings: what users type, and what the documents promise."""

import importlib.util
from dataclasses import fields
from pathlib import Path

import pytest

from wsi_streamer.errors import ConfigError
from wsi_streamer.settings import Settings, env_name
from wsi_streamer.settings.grammar import parse_size

ROOT = Path(__file__).parent.parent
SECRET = "s" * 32


def settings_table():
    spec = importlib.util.spec_from_file_location("settings_table", ROOT / "docs/settings_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_lists_every_setting_with_its_default():
    assert settings_table().readme_with_table() == (ROOT / "README.md").read_text(), "make docs"


def test_the_shipped_environment_file_lists_every_setting():
    assert settings_table().env_file() == (ROOT / "deploy/wsi-streamer.env").read_text(), (
        "make docs"
    )


def test_the_shipped_environment_file_is_a_configuration_that_starts():
    lines = (ROOT / "deploy/wsi-streamer.env").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    environ = {name: value for name, _, value in pairs} | {"WSI_AUTH_SECRET": SECRET}
    settings = Settings.from_env(environ)
    assert settings.auth_enabled
    assert settings.view_access == "signed"
    assert settings.cors_origins == ("https://slides.example.org",)


@pytest.mark.parametrize(
    ("text", "size"),
    [("100MB", 100_000_000), ("2GiB", 2**31), ("4096", 4096), ("1.5 kb", 1500), ("0", 0)],
)
def test_sizes_mean_what_users_write(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1e9", "10 XB", "١٠MB", "1_000"])
def test_a_senseless_size_is_refused(text):
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WSI_PORT", "99999"),
        ("WSI_PORT", "３０００"),
        ("WSI_JPEG_QUALITY", "0"),
        ("WSI_AUTH_ENABLED", "maybe"),
        ("WSI_CACHE_TILES", "lots"),
        ("WSI_VIEW_ACCESS", "none"),
        ("WSI_CORS_ORIGINS", "example.com"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variable_in_one_line(name, value):
    with pytest.raises(ConfigError, match=name) as caught:
        Settings.from_env({name: value})
    assert "\n" not in str(caught.value)


def test_an_empty_variable_counts_as_unset():
    assert Settings.from_env({"WSI_PORT": ""}).port == 3000


def test_every_setting_has_a_variable_that_is_read():
    samples = {bool: "true", int: "17", float: "17", str: "public"}
    own = {"cors_origins": "https://a.example", "block_size": "8192", "open_max_bytes": "70000"}
    own |= {"tile_encoding": "reencode", "jpeg_quality": "17"}
    for item in fields(Settings):
        text = own.get(item.name, samples.get(type(item.default)))
        environ = {env_name(item.name): text, "WSI_AUTH_SECRET": SECRET}
        if item.name not in ("auth_secret", "auth_secret_file"):
            value = getattr(Settings.from_env(environ), item.name)
            assert str(value).lower().strip("(',)") in (text, f"{text}.0"), item.name


@pytest.mark.parametrize(
    "origin",
    ["https://*.example.com", "*.example.com", "https://a.example/path", "https://a.(b|c).example"],
)
def test_an_origin_cannot_be_a_pattern_that_lets_strangers_in(origin):
    with pytest.raises(ConfigError, match="WSI_CORS_ORIGINS"):
        Settings.from_env({"WSI_CORS_ORIGINS": origin})


@pytest.mark.parametrize("name", ["WSI_BLOCK_SIZE", "WSI_OPEN_MAX_BYTES"])
def test_a_size_with_which_no_slide_could_open_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        Settings.from_env({name: "0"})


@pytest.mark.parametrize(
    ("host", "bind"),
    [("::1", "[::1]:3000"), ("[::]", "[::]:3000"), ("localhost", "localhost:3000")],
)
def test_ipv6_addresses_can_be_listened_on(host, bind):
    assert Settings.from_env({"WSI_HOST": host}).bind == bind


class TestSecrets:
    def test_authentication_without_a_secret_does_not_start(self):
        with pytest.raises(ConfigError, match="token_hex"):
            Settings.from_env({"WSI_AUTH_ENABLED": "true"})

    def test_a_weak_secret_does_not_start_unless_it_is_allowed(self):
        environ = {"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET": "short"}
        with pytest.raises(ConfigError, match="32 bytes"):
            Settings.from_env(environ)
        allowed = Settings.from_env(environ | {"WSI_ALLOW_WEAK_SECRET": "true"})
        assert allowed.secrets() == (b"short",)

    def test_a_file_of_secrets_signs_with_the_first_and_knows_all(self, tmp_path):
        path = tmp_path / "secrets"
        path.write_text("n" * 40 + "\n" + "o" * 40 + "\n")
        path.chmod(0o600)
        environ = {"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET_FILE": str(path)}
        assert Settings.from_env(environ).secrets() == (b"n" * 40, b"o" * 40)

    def test_secrets_that_everybody_can_read_are_refused(self, tmp_path):
        path = tmp_path / "secrets"
        path.write_text(SECRET)
        path.chmod(0o644)
        with pytest.raises(ConfigError, match="chmod 600"):
            Settings.from_env({"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET_FILE": str(path)})

    def test_a_secret_is_taken_as_it_is_spaces_and_all(self):
        secret = " " + SECRET + "\udcff "
        settings = Settings.from_env({"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET": secret})
        assert settings.secrets() == (b" " + SECRET.encode() + b"\xff ",)

    def test_the_secret_does_not_show_in_the_settings_text(self):
        settings = Settings.from_env({"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET": SECRET})
        assert SECRET not in repr(settings)
