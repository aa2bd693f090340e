"""The commands as users type them: `wsi-streamer` and `flask wsi`, in processes of their own."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.bucket import BUCKET, PREFIX
from tests.live.servers import COMMAND, start_server
from wsi_streamer.auth.query import parse_query
from wsi_streamer.auth.signing import sign_path

BIN = Path(sys.executable).parent
SECRET = "an-example-secret-of-at-least-32-bytes"
PATH = "/tiles/slide.svs/0/0/0.jpg"


def run(*command, program="wsi-streamer", **env):
    """Run a command in an environment without settings but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WSI_")}
    return subprocess.run(
        [BIN / program, *command],
        env=clean | {"PYTHONWARNINGS": "ignore"} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def assert_told_in_one_line(result, words):
    assert result.returncode != 0
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert words in result.stderr


class TestSign:
    @pytest.mark.parametrize(
        "command",
        [("wsi-streamer", "sign"), ("flask", "wsi", "sign")],
        ids=["wsi-streamer", "flask"],
    )
    def test_the_url_is_signed_as_published(self, command):
        program, *words = command
        base = "http://localhost:3000"
        before = int(time.time())
        result = run(
            *words, "--path", PATH, "--secret", SECRET, "--base-url", base, program=program
        )
        assert result.returncode == 0, result.stderr
        url, _, query = result.stdout.strip().partition("?")
        assert url == base + PATH
        params = dict(parse_query(query))
        assert before + 3600 <= int(params["exp"]) <= time.time() + 3600
        assert params["sig"] == sign_path(SECRET.encode(), PATH, [], int(params["exp"]))

    def test_json_has_all_that_a_program_needs(self):
        result = run(
            "sign", "--path", PATH, "--ttl", "60", "--format", "json", WSI_AUTH_SECRET=SECRET
        )
        document = json.loads(result.stdout)
        assert set(document) == {"signature", "expiry", "path", "ttl", "url"}
        assert document["ttl"] == 60
        assert document["url"].endswith(document["signature"])

    def test_parameters_are_signed_however_they_are_given(self):
        words = ("--params", "quality=90,x=a b", "--params", "y=1,2")
        result = run("sign", "--path", PATH, *words, "--format", "json", WSI_AUTH_SECRET=SECRET)
        document = json.loads(result.stdout)
        pairs = [("quality", "90"), ("x", "a b"), ("y", "1,2")]
        expected = sign_path(SECRET.encode(), PATH, pairs, document["expiry"])
        assert document["signature"] == expected

    def test_only_the_signature_is_printed_when_asked(self):
        result = run("sign", "--path", PATH, "--secret", SECRET, "--format", "signature")
        assert len(result.stdout.strip()) == 64

    def test_what_cannot_be_signed_is_told_in_one_line(self):
        assert_told_in_one_line(run("sign", "--path", PATH), "secret")
        assert_told_in_one_line(run("sign", "--path", "tiles/x", "--secret", SECRET), "path")
        wrong = run("sign", "--path", PATH, "--secret", SECRET, "--params", "novalue")
        assert_told_in_one_line(wrong, "key=value")


class TestCheck:
    @pytest.mark.parametrize("command", [("wsi-streamer",), ("flask", "wsi")], ids=" ".join)
    def test_a_good_bucket_passes_and_is_described(self, s3, bucket, command):
        program, *words = command
        result = run(
            *words,
            "check",
            f"s3://{BUCKET}/{PREFIX}",
            "--list-slides",
            "--test-slide",
            "plain.svs",
            program=program,
            **s3.environ(),
        )
        assert result.returncode == 0, result.stderr
        for words in (BUCKET, s3.endpoint, "us-east-1", "  plain.svs", "Aperio SVS", "decoded in"):
            assert words in result.stdout
        for words in ("1500 x 1100", "mpp:        0.499"):
            assert words in result.stdout
        assert result.stdout.endswith("All checks passed!\n")

    def test_a_missing_bucket_is_told_in_one_line(self, s3):
        result = run("check", "s3://no-such-bucket", **s3.environ())
        assert_told_in_one_line(result, "no-such-bucket")
        assert "passed" not in result.stdout

    def test_wrong_credentials_are_told_in_one_line(self, s3, bucket):
        env = s3.environ() | {"AWS_SECRET_ACCESS_KEY": "wrong"}
        result = run("check", f"s3://{BUCKET}", **env)
        assert_told_in_one_line(result, "credentials")

    def test_an_endpoint_that_does_not_answer_is_told_in_one_line(self, s3):
        env = s3.environ() | {"WSI_S3_ENDPOINT": "http://127.0.0.1:9"}
        assert_told_in_one_line(run("check", f"s3://{BUCKET}", **env), "127.0.0.1:9")

    def test_a_slide_that_is_none_fails_the_check(self, s3, bucket):
        source = f"s3://{BUCKET}/{PREFIX}"
        for slide in ("nope.svs", "notes.txt", "broken/text.svs"):
            result = run("check", source, "--test-slide", slide, **s3.environ())
            assert result.returncode != 0
            assert result.stderr.count("\n") == 1


class TestServe:
    def test_a_configuration_that_cannot_work_is_refused_in_one_line(self, s3, tmp_path):
        assert_told_in_one_line(run(), "s3://bucket")
        assert_told_in_one_line(run(str(tmp_path / "nope")), "nope")
        assert_told_in_one_line(run("serve", "s3://no-such-bucket", **s3.environ()), "no-such")
        assert_told_in_one_line(run("--jpeg-quality", "0", str(tmp_path)), "--jpeg-quality")
        assert_told_in_one_line(run("--auth-enabled", str(tmp_path)), "secret")
        assert_told_in_one_line(run(str(tmp_path), WSI_PORT="x"), "WSI_PORT")
        assert_told_in_one_line(run("gopher://slides"), "gopher")

    def test_gunicorn_alone_refuses_it_in_one_line_too(self, tmp_path):
        for env in ({}, {"WSI_SOURCE": str(tmp_path), "WSI_THREADS": "0"}):
            root = str(Path(__file__).parents[2] / "gunicorn.conf.py")
            result = run("-c", root, "wsi_streamer.wsgi:app", program="gunicorn", **env)
            assert_told_in_one_line(result, "wsi-streamer: ")

    def test_a_port_that_is_taken_is_told_in_one_line(self, tmp_path):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            result = run(str(tmp_path), "--host", "127.0.0.1", "--port", port)
        assert_told_in_one_line(result, "--port")

    def test_the_start_tells_urls_and_that_everybody_may_look(self, folder_server):
        assert f"http://localhost:{folder_server.port}/view/plain.svs" in folder_server.log
        assert "warning: authentication is off" in folder_server.log

    def test_a_flag_beats_a_variable_and_a_variable_the_default(self, slide_folder, tmp_path):
        env = {"WSI_JPEG_QUALITY": "33", "WSI_CACHE_MAX_AGE": "7"}
        command = (*COMMAND, str(slide_folder), "--jpeg-quality", "44")
        with start_server("", env, command=command) as server:
            answer = server.ask("/tiles/plain.svs/0/0/0.jpg")
        assert answer.headers["X-Tile-Quality"] == "44"
        assert answer.headers["Cache-Control"] == "public, max-age=7"

    def test_a_switch_can_be_turned_off_by_its_flag(self, slide_folder):
        env = {"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET": SECRET}
        command = (*COMMAND, str(slide_folder), "--no-auth-enabled")
        with start_server("", env, command=command) as server:
            assert server.ask("/slides").status == 200

    def test_queries_and_control_characters_stay_out_of_the_log(self, slide_folder):
        command = (*COMMAND, str(slide_folder), "--verbose")
        with start_server("", {}, command=command) as server:
            server.ask("/slides/a%0Aforged.svs?sig=topsecret&exp=1")
            with socket.create_connection(("127.0.0.1", server.port)) as raw:
                raw.sendall(b"GET /slides/\xff.svs?sig=topsecret HTTP/1.1\r\nHost: x\r\n\r\n")
                raw.recv(1000)
            log = server.log
        assert "/slides/a%0Aforged.svs" in log
        assert "topsecret" not in log

    def test_the_module_of_the_package_configures_gunicorn_anywhere(self, slide_folder, tmp_path):
        config = "python:wsi_streamer.gunicorn_conf"
        command = (str(BIN / "gunicorn"), "-c", config, "wsi_streamer.wsgi:app")
        with start_server(str(slide_folder), {"WSI_HOST": "::"}, command=command) as server:
            assert f"http://[::]:{server.port}" in server.log
            assert "Using worker: wsi_streamer.worker.tile_worker.TileWorker" in server.log

    def test_a_cache_that_cannot_be_kept_does_not_stop_the_server(self, slide_folder, tmp_path):
        (tmp_path / "file").write_text("no folder")
        env = {"WSI_CACHE_DIR": str(tmp_path / "file")}
        with start_server(str(slide_folder), env) as server:
            assert server.ask("/slides?limit=1").json()["next_cursor"]
            assert server.ask("/tiles/plain.svs/0/0/0.jpg").status == 200

    def test_help_names_every_command_and_flag(self):
        text = run("--help").stdout
        for words in ("serve", "sign", "check", "demo", "--cache-tiles", "WSI_CACHE_TILES"):
            assert words in text
        assert run("--version").stdout.startswith("wsi-streamer, version 0.")


class TestDemo:
    def test_the_demo_slide_is_painted_once_and_opens(self, tmp_path):
        words = ("demo", str(tmp_path / "demo"), "--width", "2000", "--height", "1500")
        first, again = run(*words), run(*words)
        assert first.returncode == again.returncode == 0, first.stderr
        assert "already" in again.stdout
        result = run("check", str(tmp_path / "demo"), "--test-slide", "demo.svs")
        assert "Aperio SVS" in result.stdout
        assert result.returncode == 0
