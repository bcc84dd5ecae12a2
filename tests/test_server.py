"""`candlewick serve` and `candlewick.serve`, over sockets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import hub_server
import pytest
from serving import command, post, refused

import candlewick
from candlewick._cli_serve import FLAGS, _values
from candlewick.errors import BackendError, ParameterError

MODELS = Path(__file__).parent / "golden" / "models"
TEXT = "My name is Sarah Jessica Parker but you can call me Jessica"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Both demo models."""
    with candlewick.serve() as url:
        yield url


def test_answers_are_those_of_query(url: str) -> None:
    ner, sentiment = candlewick.pipeline("ner"), candlewick.pipeline("sentiment-analysis")
    for body in [
        {"inputs": TEXT},
        {"inputs": [TEXT, "", "日本 😀 Jessica"], "parameters": {"aggregation_strategy": "first"}},
        {"inputs": TEXT * 40, "parameters": {"stride": 16}},
    ]:
        assert post(url, body) == ner.query(body)
    for body in [{"inputs": "What an evening!"}, {"inputs": ["fine", {"text": "a", "text_pair": "b"}]}]:
        assert post(f"{url}/models/demo-sentiment", body) == sentiment.query(body)


def test_errors_are_json(url: str) -> None:
    status, body = refused(url, {"inputs": "a", "parameters": {"bogus": 1}})
    assert (status, body["error_type"]) == (400, "Validation") and "bogus" in body["error"]
    assert refused(f"{url}/models/un/known", {"inputs": "a"})[0] == 404


def test_many_threads_get_their_own_answers(url: str) -> None:
    texts = [f"Call me Jessica {'really ' * (number % 7)}{number}" for number in range(60)]
    pipe = candlewick.pipeline("ner", aggregation_strategy="simple")
    expected, found = pipe(texts), {}

    def ask(number: int) -> None:
        found[number] = post(url, {"inputs": texts[number]}, **{"x-use-cache": "0"})

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(texts))] == expected


def test_folders_names_and_options() -> None:
    with candlewick.serve(MODELS / "bert-sentiment", MODELS / "bert-ner", api_keys=["k"], default_top_k=1) as url:
        authorized = {"authorization": "Bearer k"}
        assert refused(url, {"inputs": "a"})[0] == 401
        (labels,) = post(url, {"inputs": "a"}, **authorized)
        assert len(labels) == 1
        assert isinstance(post(f"{url}/models/bert-ner", {"inputs": "a"}, **authorized), list)


def test_what_can_not_be_served() -> None:
    with pytest.raises(BackendError, match="nowhere"), candlewick.serve("./nowhere"):
        pass
    with candlewick.serve(MODELS / "bert-ner", "./nowhere") as url:
        status, body = refused(f"{url}/models/./nowhere".replace("./", "%2E%2F"), {"inputs": "a"})
        assert status == 500 and "no such folder" in body["error"]
        port = int(url.rpartition(":")[2])
        with pytest.raises(BackendError, match=str(port)):
            candlewick.serve(port=port)
    with pytest.raises(ParameterError, match="port"):
        candlewick.serve(port=70_000)
    with pytest.raises(ParameterError, match="aggregation_strategy"):
        candlewick.serve(default_aggregation_strategy="bogus")
    with pytest.raises(TypeError, match="bogus"):
        candlewick.serve(bogus=1)


def test_a_server_ends_with_its_block_and_leaves_no_port() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with candlewick.serve(MODELS / "bert-ner") as url:
        post(url, {"inputs": "a"})
        assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(urllib.error.URLError):
        post(url, {"inputs": "a"})


def test_the_command_answers_and_drains_on_sigterm() -> None:
    with command("--log-level", "off") as (process, url):
        waits = {"x-wait-for-model": "true"}
        assert post(url, {"inputs": TEXT}, **waits)[0]["word"] == "Sarah Jessica Parker"
        answers: list[int] = []
        body = {"inputs": [f"{TEXT} {number} " * 20 for number in range(300)]}
        thread = threading.Thread(target=lambda: answers.append(len(post(url, body, **waits))))
        thread.start()
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        thread.join()
        assert process.wait(20) == 0
        assert answers == [300]


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with command("--log-level", "off") as (process, url):
        post(url, {"inputs": TEXT}, **{"x-wait-for-model": "true"})
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")


def test_the_estimate_while_a_model_is_downloaded_is_of_the_bytes_that_come(tmp_path: Path) -> None:
    folder = shutil.copytree(MODELS / "bert-ner", tmp_path / "source")
    (folder / "model.safetensors").write_bytes(bytes(60_000_000))
    hub = hub_server.Hub()
    hub.add("some/ner", folder)
    held = hub.hold("model.safetensors")
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    try:
        with command("some/ner", "--loading-hold", "0", "--log-level", "off", **environment) as (_, url):
            # At the rate that is assumed, 60 MB take three seconds. Half of them came at once, and then nothing.
            estimate = 0.0
            while estimate < 4.0:
                status, body = refused(url, {"inputs": "a"})
                assert (status, body["error_type"]) == (503, "Loading")
                estimate = body["estimated_time"]
                time.sleep(0.05)
    finally:
        held.set()
        hub.close()


def test_metrics_have_a_port_of_their_own_if_wanted() -> None:
    with command("--prometheus-port", "0", "--api-key", "key", "--log-level", "off") as (process, url):
        assert process.stderr is not None
        found = re.fullmatch(r"candlewick: metrics on (http\S+)\n", process.stderr.readline())
        assert found is not None
        for metrics in (found[1], f"{url}/metrics"):
            with urllib.request.urlopen(metrics, timeout=60) as response:
                assert b"te_queue_size" in response.read()
        status, body = refused(found[1].replace("metrics", "models/demo-ner"), {"inputs": "a"})
        assert (status, body["error_type"]) == (404, "NotFound")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_logs_hold_nothing_that_a_user_wrote() -> None:
    secret = "Jessica-the-secret"
    with command("--json-output", "--api-key", "key-of-mine", LOG_LEVEL="debug") as (process, url):
        headers = {"x-wait-for-model": "1", "authorization": "Bearer key-of-mine"}
        post(url, {"inputs": secret}, **headers)
        refused(url, {"inputs": [secret, 5]}, **headers)
        refused(url, {"inputs": secret, "parameters": {"aggregation_strategy": secret}}, **headers)
        refused(url, {"inputs": secret}, authorization=f"Bearer {secret}")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    lines = [json.loads(line) for line in errors.splitlines()]
    answered = [line for line in lines if line["message"] == "answered"]
    assert [line["status"] for line in answered] == [200, 400, 400, 401]
    assert all(line["request_id"] for line in answered)
    assert all(re.fullmatch(r"\d+(\.\d{1,3})?", str(line["ms"])) for line in answered)
    assert secret not in errors and "key-of-mine" not in errors


def test_what_the_command_refuses(tmp_path: Path) -> None:
    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "candlewick", "serve", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "CANDLEWICK_LOG_LEVEL": "off", **environment},
        )
        return done.returncode, done.stderr.splitlines()[-1]

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run("--port", port)[0] == 1
        assert port in run("--port", port)[1]
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    status, line = run("--port", "0", str(damaged))
    assert status == 1 and line.startswith("candlewick: ") and "config.json" in line
    assert run("--bogus")[0] == 2
    assert run("--prometheus-port", "70000")[0] == 2
    assert "otlp_endpoint" in run("--port", "0", "--otlp-endpoint", "https://collector:4318")[1]
    assert run("--dtype", "float99")[0] == 2
    assert run("--target-latency", "soon") == (
        2,
        "candlewick serve: error: argument --target-latency: expected a number of at least 0, got 'soon'",
    )
    assert run(CANDLEWICK_PORT="many")[0] == 2


def test_flags_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CANDLEWICK_MAX_BATCH_TOKENS", "PORT", "HOSTNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAX_BATCH_TOKENS", "100")
    monkeypatch.setenv("HOSTNAME", "machine")
    monkeypatch.setenv("CANDLEWICK_API_KEY", "a, b")
    monkeypatch.setenv("HF_MODEL_ID", "org/name")
    values = _values(["--target-latency", "250", "--strict-parameters", "--hostname", "0.0.0.0", "-p", "9"])
    assert values["max-batch-tokens"] == 100
    assert values["target-latency"] == 0.25
    assert values["strict-parameters"] is True
    assert (values["host"], values["port"]) == ("0.0.0.0", 9)
    assert values["api-key"] == ["a", "b"]
    assert values["model-id"] == ["org/name"]
    monkeypatch.setenv("CANDLEWICK_MAX_BATCH_TOKENS", "200")
    assert _values([])["max-batch-tokens"] == 200
    assert _values([])["host"] is None
    assert _values(["--max-batch-tokens", "7"])["max-batch-tokens"] == 7
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)


def test_every_flag_of_text_embeddings_inference_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for flag in FLAGS for name in (flag.name, *flag.aliases)}
    assert names >= {
        *("model-id", "revision", "tokenization-workers", "dtype", "served-model-name", "max-concurrent-requests"),
        *("max-batch-tokens", "max-batch-requests", "max-client-batch-size", "auto-truncate", "hf-token", "hostname"),
        *("port", "p", "huggingface-hub-cache", "payload-limit", "api-key", "json-output", "disable-spans"),
        *("otlp-endpoint", "otlp-service-name", "prometheus-port", "cors-allow-origin"),
    }
    monkeypatch.setenv("OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv("PROMETHEUS_PORT", "9000")
    values = _values(["--disable-spans"])
    assert (values["otlp-endpoint"], values["prometheus-port"]) == ("http://collector:4318", 9000)
    assert values["disable-spans"] is True


def test_a_flag_without_effect_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "candlewick", "serve", "--disable-spans", "--port", "70000"],
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith("candlewick: --disable-spans has no effect")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "candlewick", "serve", "--unix-socket", str(path), "--log-level", "off"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None and str(path) in process.stderr.readline()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /metrics HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not path.exists()
    finally:
        process.kill()
        process.communicate()


def test_serving_starts_without_the_libraries_of_the_command_line() -> None:
    code = "import sys, candlewick._cli_serve, candlewick.serving; print({'typer', 'rich', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
