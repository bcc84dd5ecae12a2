"""What happens around `candlewick serve`: files that are damaged or vanish, and no file descriptors left."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from serving import command, connect, measured, post

TEXT = "Ada lives in London ."
WAITS = {"x-wait-for-model": "1"}
FRESH = {"x-use-cache": "0"}


def test_a_model_whose_folder_disappears_goes_on(copy: Callable[[str], Path]) -> None:
    folder = copy("bert-ner")
    body = {"inputs": TEXT, "parameters": {"aggregation_strategy": "none", "ignore_labels": []}}
    with command("--log-level", "off", str(folder)) as (_, url):
        expected = post(url, body, **WAITS)
        shutil.rmtree(folder)
        assert post(url, body, **FRESH) == expected
        # A text with other rows of the embeddings, which are read where they lie.
        assert len(post(url, {**body, "inputs": "Grace works for Acme in New York"}, **FRESH)) > len(expected)


def cut(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", cut),
        ("model.safetensors", lambda file: file.write_bytes(b"\xff" * 100)),
        ("model.safetensors", Path.unlink),
        ("tokenizer.json", cut),
        ("config.json", cut),
    ],
    ids=["half the weights", "noise", "no weights", "half a tokenizer", "half a configuration"],
)
def test_a_damaged_checkpoint_ends_the_start_with_one_clear_line(
    copy: Callable[[str], Path], file: str, damage: Callable[[Path], None]
) -> None:
    folder = copy("bert-ner")
    damage(folder / file)
    arguments = ["serve", "--port", "0", "--log-level", "off", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "candlewick", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    listening, line = done.stderr.splitlines()
    assert listening.startswith("candlewick: listening on ")
    assert line.startswith("candlewick: ") and file in line, line


def test_without_file_descriptors_it_waits_for_some() -> None:
    most, ask = 64, b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    with command("--log-level", "off", before=limit) as (process, url):
        post(f"{url}/models/demo-sentiment", {"inputs": "a"}, **WAITS)
        with connect(url) as kept, ExitStack() as others:
            kept.sendall(ask)
            assert kept.recv(1 << 10).startswith(b"HTTP/1.1 200")
            for _ in range(2 * most):
                others.enter_context(connect(url))
            while len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < most:
                time.sleep(0.01)
            # Who has a connection is served, all others wait.
            kept.sendall(ask)
            assert kept.recv(1 << 10).startswith(b"HTTP/1.1 200")
            others.close()
            assert post(url, {"inputs": "Call me Jessica"})[0]["word"] == "Jessica"
        assert measured(url, "te_queue_size") == 0
