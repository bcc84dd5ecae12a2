"""The steps of the image, in an empty folder; and that what `deploy/` names exists."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from candlewick._cli_serve import FLAGS

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheels = sorted((ROOT / "target" / "wheels").glob("*.whl"))
    if not wheels:
        pytest.skip("there is no wheel: make wheel")
    folder = tmp_path_factory.mktemp("image") / "candlewick"
    subprocess.run([DEPLOY / "install.sh", folder, wheels[-1]], check=True, timeout=300)
    return folder


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def healthy(folder: Path, port: int) -> int:
    command = [folder / "bin" / "python", folder / "healthy.py"]
    environment = {**os.environ, "CANDLEWICK_PORT": str(port)}
    return subprocess.run(command, env=environment, capture_output=True, timeout=30, check=False).returncode


def test_the_steps_of_the_image_make_a_server_that_is_healthy_answers_and_stops(installed: Path, port: int) -> None:
    assert healthy(installed, port) == 1, "nothing runs yet"
    # As the image does: by environment, with a home that can't be written to.
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "CANDLEWICK_PORT": str(port)}
    command = [installed / "bin" / "candlewick", "serve", "--host", "0.0.0.0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        end = time.monotonic() + 60
        while healthy(installed, port) and server.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        body = json.dumps({"inputs": "Call me Jessica"}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=30) as answer:
            assert json.load(answer)[0]["word"] == "Jessica"
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=30)
    assert server.returncode == 0, log


def test_the_image_uses_these_steps() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for script in ("build.sh", "install.sh", "healthy.py"):
        assert script in text and (DEPLOY / script).exists()
    for script in DEPLOY.glob("*.sh"):
        assert os.access(script, os.X_OK), f"{script} can't be run"
    assert "make wheel" in (DEPLOY / "build.sh").read_text(encoding="utf-8")


def test_flags_and_paths_in_examples_exist() -> None:
    flags = {name for flag in FLAGS for name in (flag.name, *flag.aliases)}
    for path in DEPLOY.iterdir():
        text = path.read_text(encoding="utf-8")
        serving = re.findall(r"(?:serve|args:)(.*)", text)
        used = {flag for line in serving for flag in re.findall(r"--([a-z-]+)", line)}
        assert used - {"read-only", "tmpfs", "now"} <= flags, path
        variables = set(re.findall(r"CANDLEWICK_([A-Z_]+)", text)) - {"CACHE"}
        assert {name.lower().replace("_", "-") for name in variables} <= flags, path
        assert set(re.findall(r"path: (/\S+?)[,}]", text)) <= {"/health"}, path
