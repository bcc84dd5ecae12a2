"""The OpenAPI document against the server that serves it: schemathesis asks what it allows, and what it does not."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from schema.narrow import Server, narrow
from serving import command, post

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = ROOT / ".venv-schema" / "bin" / "schemathesis"
MODELS = ROOT / "tests" / "golden" / "models"
#: Written so: schemathesis looks for it to leave it out.
KEY = {"Authorization": "Bearer key"}
#: For each operation and phase.
EXAMPLES = "12"


def get(url: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=KEY), timeout=60) as answer:
        return json.load(answer)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("model", "keyed"), [("bert-ner", False), ("roberta-emotions", True), ("bert-rerank", False)])
def test_what_the_document_says_is_so(model: str, keyed: bool, tmp_path: Path) -> None:
    keys = ["--api-key", "key"] if keyed else []
    with command("--log-level", "off", *keys, str(MODELS / model)) as (_, url):
        post(f"{url}/", {"inputs": "a"}, **KEY, **{"x-wait-for-model": "1"})
        document = narrow(get(f"{url}/openapi.json"), Server.of(get(f"{url}/info"), keyed=keyed))
        written = tmp_path / "openapi.json"
        written.write_text(json.dumps(document))
        settings = ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
        options = ["--url", url, "--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"]
        # The page at / is for those who accept one.
        headers = {"accept": "text/html, */*"} | (KEY if keyed else {})
        sent = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
        done = subprocess.run(
            [SCHEMATHESIS, *settings, "run", written, "--continue-on-failure", *options, *sent],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
