"""`candlewick serve`: flags and environment variables become one call. No library of the command line is imported."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_DESCRIPTION = "Serve models with the HTTP interface of the Hugging Face Inference API."
_EPILOG = """\
Every flag is also read from the environment, as CANDLEWICK_MAX_BATCH_TOKENS or MAX_BATCH_TOKENS for
--max-batch-tokens; flags win. Times are seconds, but for --target-latency.

Examples:
  candlewick serve
  candlewick serve dslim/bert-base-NER --dtype auto --port 9000
  candlewick serve ./my-model distilbert/distilbert-base-uncased-finetuned-sst-2-english --api-key secret
"""


class Flag(NamedTuple):
    """One flag: its name, how its text becomes a value, and what it is."""

    name: str
    read: Callable[[str], Any]
    help: str
    #: The native option; `None` for flags that are used here.
    option: str | None = None
    many: bool = False
    #: Other names, of flags and of environment variables.
    aliases: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    #: Whether the bare name is read from the environment, as text-embeddings-inference does.
    bare: bool = True


def _truth(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return number


def _milliseconds(text: str) -> float:
    return _number(text) / 1000


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in names:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(names)}, got {text!r}")
        return text.lower()

    return read


_TASKS = _one_of("auto", "token-classification", "text-classification")
_LISTS = _one_of("nested", "hosted")
_STRATEGIES = _one_of("none", "simple", "first", "average", "max")

FLAGS = (
    Flag("model-id", str, "a Hub id or a folder, as a positional argument", many=True, variables=("HF_MODEL_ID",)),
    Flag("revision", str, "branch, tag or commit of the Hub models", variables=("HF_REVISION",)),
    Flag("task", _TASKS, "by default what a model's configuration says", variables=("HF_TASK",)),
    Flag("served-model-name", str, "the models' names in URLs, in their order", many=True),
    # HOSTNAME is the machine's own name in most shells and containers.
    Flag("host", str, "the address to listen on (127.0.0.1)", aliases=("hostname",), bare=False),
    Flag("port", _whole, "the port to listen on (8080); 0 for any that is free", aliases=("p",)),
    Flag("unix-socket", str, "a socket in the file system to listen on, instead of a port"),
    Flag("dtype", str, "float32, bfloat16, int8 or auto", "dtype"),
    Flag("quality", str, "what an int8 that misses its gate does: warn, strict or skip", "quality"),
    Flag("device", _one_of("cpu"), "cpu"),
    Flag("threads", _whole, "threads of all models together; by default what this machine allows", "threads"),
    Flag("max-input-tokens", _whole, "a limit below the models' own", "max_tokens"),
    Flag("api-key", str, "a key that requests must bring; may be repeated", "api_keys", many=True),
    Flag("cors-allow-origin", str, "an origin that browsers may call from; by default all", "cors_origins", many=True),
    Flag("payload-limit", _whole, "most bytes of a body (10000000)", "payload_limit"),
    Flag("max-client-batch-size", _whole, "most inputs of a request (1024)", "max_client_batch_size"),
    Flag("max-concurrent-requests", _whole, "most requests at a time (512)", "max_concurrent_requests"),
    Flag("max-batch-tokens", _whole, "most tokens of a batch (16384)", "max_batch_tokens"),
    Flag("max-batch-requests", _whole, "most inputs of a batch", "max_batch_requests"),
    Flag("tokenization-workers", _whole, "threads that only read texts (1)", "tokenization_workers"),
    Flag("cache-size", _whole, "bytes of the cache of answers (67108864); 0 for none", "cache_size"),
    Flag("target-latency", _milliseconds, "milliseconds that a request may wait (200)", "target_latency"),
    Flag("request-timeout", _number, "how long a request may take (60)", "request_timeout"),
    Flag("loading-hold", _number, "how long a request is held while its model loads (1)", "loading_hold"),
    Flag("wait-timeout", _number, "the same for requests with x-wait-for-model (300)", "wait_timeout"),
    Flag("default-top-k", _whole, "labels of an answer where a request does not say; by default all", "default_top_k"),
    Flag("default-aggregation-strategy", _STRATEGIES, "simple", "default_aggregation_strategy"),
    Flag("list-output", _LISTS, "nested, or hosted: one list of each input's best label", "list_output"),
    Flag("strict-parameters", _truth, "whether unknown parameters are errors in any case", "strict_parameters"),
    Flag("auto-truncate", _truth, "whether /predict cuts long texts (true)", "auto_truncate"),
    Flag("predict-dialect", _one_of("tei", "hf"), "tei, or hf to make /predict another name of /"),
    Flag("hf-token", str, "token of the Hub"),
    Flag("huggingface-hub-cache", str, "folder of the Hub's cache"),
    Flag("prometheus-port", _whole, "a port for /metrics alone, which stays on the other one too", "prometheus_port"),
    Flag("otlp-endpoint", str, "http://host:port of a collector that takes spans by OTLP over HTTP", "otlp_endpoint"),
    Flag("otlp-service-name", str, "what this server is called in them (candlewick)", "otlp_service_name"),
    Flag("json-output", _truth, "whether logs are JSON"),
    Flag("disable-spans", _truth, "no effect: logs have no spans"),
    Flag("log-level", str, "off, error, warn, info or debug (info)"),
)
#: Flags that stand for true when they are given without a value.
_SWITCHES = ("strict-parameters", "auto-truncate", "json-output", "disable-spans")


def main(arguments: list[str]) -> int:
    """Serve until stopped. Exit codes: 0 stopped, 1 nothing could be served; wrong usage exits with 2."""
    from candlewick.errors import CandlewickError, ParameterError

    values = _values(arguments)
    # What the interpreter does with Ctrl-C would be raised after the server has ended well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return _serve(values)
    except ParameterError as error:
        print(f"candlewick: {error}", file=sys.stderr)
        return 2
    except CandlewickError as error:
        print(f"candlewick: {error}", file=sys.stderr)
        return 1


def _values(arguments: list[str]) -> dict[str, Any]:
    """Each flag's value, from the command line or else the environment; `None` where neither has it."""
    parser = argparse.ArgumentParser(
        prog="candlewick serve",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("model", nargs="*", metavar="MODEL", help="Hub ids or folders; without any, the demo models")
    for flag in FLAGS:
        names = [f"--{flag.name}", *(f"-{name}" if len(name) == 1 else f"--{name}" for name in flag.aliases)]
        more: dict[str, Any] = {"nargs": "?", "const": True} if flag.name in _SWITCHES else {}
        action = "append" if flag.many else "store"
        parser.add_argument(
            *names, dest=flag.name, type=flag.read, action=action, help=flag.help, metavar=_metavar(flag), **more
        )
    values = vars(parser.parse_args(arguments))
    for flag in FLAGS:
        if values[flag.name] is None and (found := _variable(flag)) is not None:
            name, text = found
            try:
                texts = text.split(",") if flag.many else [text]
                read = [flag.read(text.strip()) for text in texts if text.strip()]
            except argparse.ArgumentTypeError as error:
                parser.error(f"{name}: {error}")
            if read:
                values[flag.name] = read if flag.many else read[0]
    return values


def _metavar(flag: Flag) -> str:
    names: dict[Callable[[str], Any], str] = {_whole: "N", _number: "SECONDS", _milliseconds: "MS", _truth: "BOOL"}
    return names.get(flag.read, "VALUE")


def _variable(flag: Flag) -> tuple[str, str] | None:
    """The first environment variable that has a flag's value."""
    name = flag.name.replace("-", "_").upper()
    own = [f"CANDLEWICK_{name}", *(f"CANDLEWICK_{alias.upper()}" for alias in flag.aliases if len(alias) > 1)]
    if flag.name == "threads":
        own = []  # the library's CANDLEWICK_NUM_THREADS says that for all commands
    for variable in (*own, *([name] if flag.bare and own else []), *flag.variables):
        if text := os.environ.get(variable):
            return variable, text
    return None


def _serve(values: dict[str, Any]) -> int:
    from candlewick import _native
    from candlewick.serving import metrics_url_of, native, url_of

    options = {flag.option: values[flag.name] for flag in FLAGS if flag.option and values[flag.name] is not None}
    if values["predict-dialect"] == "hf":
        options["predict_is_hub"] = True
    if values["disable-spans"]:
        print("candlewick: --disable-spans has no effect: logs have no spans", file=sys.stderr)
    _native.log_to_stderr(values["log-level"] or "info", bool(values["json-output"]))
    server = native(
        _wanted(values),
        host=values["host"] or "127.0.0.1",
        port=8080 if values["port"] is None else values["port"],
        path=values["unix-socket"],
        token=values["hf-token"],
        cache_dir=values["huggingface-hub-cache"],
        options=options,
    )
    where = values["unix-socket"] or url_of(server)
    print(f"candlewick: listening on {where}", file=sys.stderr, flush=True)
    if metrics := metrics_url_of(server):
        print(f"candlewick: metrics on {metrics}", file=sys.stderr, flush=True)
    server.run(True)
    return 0


def _wanted(values: dict[str, Any]) -> list[tuple[str, str | None, str | None, str | None]]:
    """Name, model, revision and task of each model."""
    from candlewick.errors import ParameterError
    from candlewick.serving import served_name

    models = [*values["model"], *(values["model-id"] or ())]
    names = values["served-model-name"] or [served_name(model) for model in models]
    if len(names) != len(models):
        raise ParameterError(f"--served-model-name: expected one for each of {len(models)} models, got {len(names)}")
    task = None if values["task"] == "auto" else values["task"]
    revision = values["revision"]
    return [
        (name, model, None if Path(model).is_dir() else revision, task)
        for name, model in zip(names, models, strict=True)
    ]
