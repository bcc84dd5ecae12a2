"""The command, as a person and as a pipe see it."""

from __future__ import annotations

import csv
import html.parser
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import candlewick

COMMAND = [sys.executable, "-m", "candlewick"]
EXAMPLE = "My name is Sarah Jessica Parker but you can call me Jessica"


def run(*arguments: str | Path, stdin: str | bytes = "", **environment: str) -> subprocess.CompletedProcess[str]:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=data,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=100,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_in_terminal(*arguments: str, **environment: str) -> str:
    """What a terminal of 100 columns shows."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=child,
        stdout=child,
        stderr=subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm", **environment},
    ) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                part = os.read(parent, 65536)
            except OSError:  # Linux's way to say that the other side has closed
                break
            if not part:
                break
            shown += part
        os.close(parent)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_pipe_gets_json_lines() -> None:
    done = run("ner", EXAMPLE, "Nothing here")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = lines(done.stdout)
    assert first["text"] == EXAMPLE
    found = [(entity["entity_group"], entity["start"], entity["end"]) for entity in first["entities"]]
    assert found == [("PER", 11, 31), ("PER", 52, 59)]
    assert second == {"text": "Nothing here", "entities": []}


def test_a_terminal_gets_entities_in_their_text() -> None:
    shown = run_in_terminal("ner", EXAMPLE, NO_COLOR="1")
    assert "⟦Sarah Jessica Parker PER⟧" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "11-31" in shown
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    assert not coloured.search(shown)
    assert coloured.search(run_in_terminal("ner", EXAMPLE))
    assert "positive" in run_in_terminal("classify", "What a wonderful evening!")


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b]0;title" not in run_in_terminal("ner", "a \x1b]0;title\x07 b")


def test_every_kind_of_file(tmp_path: Path) -> None:
    texts = ["Call me Jessica", 'with "quotes", commas\nand lines', "Größe 😀"]
    (tmp_path / "a.txt").write_text("\n".join(text.replace("\n", " ") for text in texts), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"body": text}) + "\n" for text in texts))
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["id", "body"], *([str(n), text] for n, text in enumerate(texts))])
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"body": texts}), tmp_path / "a.parquet")
    for name in ("a.txt", "a.jsonl", "a.csv", "a.parquet"):
        done = run("ner", "-f", tmp_path / name, "--column", "body")
        assert done.returncode == 0, done.stderr
        read = [line["text"] for line in lines(done.stdout)]
        assert read == ([text.replace("\n", " ") for text in texts] if name == "a.txt" else texts), name


def test_bad_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"fine\n\xff\n")
    (tmp_path / "broken.jsonl").write_text('{"text": "a"}\n{"text"')
    (tmp_path / "other.csv").write_text("id,body\n1,a\n")
    (tmp_path / "kind.doc").write_text("a")
    for name, part in [
        ("bytes.txt", "line 2: expected UTF-8"),
        ("broken.jsonl", "line 2: broken JSON"),
        ("other.csv", "the columns id, body"),
        ("kind.doc", ".parquet"),
        ("absent.txt", "No such file"),
    ]:
        done = run("ner", "-f", tmp_path / name)
        assert done.returncode == 1, name
        assert part in done.stderr and name in done.stderr and "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1


def test_wrong_usage() -> None:
    for arguments in (
        ["ner", "--format", "xml", "a"],
        ["ner", "--strategy", "foo", "a"],
        ["ner", "--stride", "many", "a"],
        ["ner", "--nonsense", "a"],
        ["serve-me"],
    ):
        done = run(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    assert run("ner", "-m", "no/such/../model", "a").returncode == 1


def test_standard_input_is_read_line_by_line() -> None:
    done = run("classify", "--top-k", "1", stdin="What a wonderful evening!\r\nThe soup was cold.\n")
    assert [line["text"] for line in lines(done.stdout)] == ["What a wonderful evening!", "The soup was cold."]
    assert all(len(line["labels"]) == 1 for line in lines(done.stdout))
    assert run("ner", "first", "-", stdin="second").stdout.count("\n") == 2
    assert run("ner", stdin="").stdout == ""


def test_a_page_needs_nothing_and_escapes_everything(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run("ner", "--format", "html", "-o", page, EXAMPLE, "<script>alert(1)</script> Jessica & Co")
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "http" not in text and text.count("<section>") == 2
    assert "Sarah Jessica Parker<small> PER</small></mark>" in text
    Balanced().check(text)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_page_of_labels() -> None:
    text = run("classify", "--format", "html", "What a wonderful evening!").stdout
    assert "<meter" in text and "positive" in text
    Balanced().check(text)


class Balanced(html.parser.HTMLParser):
    """Every element that is opened is closed."""

    def check(self, text: str) -> None:
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_failed_run_leaves_no_file(tmp_path: Path) -> None:
    assert run("ner", "-o", tmp_path / "out.jsonl", "-f", tmp_path / "absent.txt").returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_long_input_streams_in_order() -> None:
    texts = [f"line {number}" for number in range(20_000)]
    done = run("ner", "-", stdin="\n".join(texts))
    assert [line["text"] for line in lines(done.stdout)] == texts


def test_a_reader_that_leaves_is_no_error_to_see() -> None:
    with subprocess.Popen(
        [*COMMAND, "ner", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdout.close()
        try:
            process.stdin.write(b"Call me Jessica\n" * 20_000)
            process.stdin.close()
        except BrokenPipeError:
            pass
        assert process.stderr.read() == b""
    process.stdin = None


def test_a_cut_text_is_told() -> None:
    done = run("ner", "word " * 2_000)
    assert done.returncode == 0
    assert done.stderr.startswith("candlewick: warning: input 0 was cut from ") and done.stderr.count("\n") == 1


def test_long_work_shows_its_speed(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("Call me Jessica\n" * 20_000, encoding="utf-8")
    shown = run_in_terminal("ner", "-f", str(file), "-o", str(tmp_path / "out.jsonl"))
    assert re.search(r"[\d,]+ texts/s, [\d,]+ tokens/s", shown), shown[-500:]
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8").count("\n") == 20_000


def test_bench_says_where_the_time_goes() -> None:
    rows = [json.loads(line) for line in run("bench", "--tokens", "8,20", "--dtype", "int8").stdout.splitlines()]
    assert [row["tokens"] for row in rows] == [8, 20]
    for row in rows:
        assert set(row["stages_ms"]) == {"tokenization", "embeddings", "linear", "attention", "norms", "decoding"}
        assert 0 < sum(row["stages_ms"].values()) <= row["call_ms"]
        assert row["bound_by"] in ("memory", "arithmetic") and row["share_of_limit"] > 0
    table = run("bench", "--format", "table", "--tokens", "8", "--threads", "1", "--task", "sentiment-analysis").stdout
    assert "where the time goes" in table and "linear" in table and "what would help: " in table


def test_bench_reads_the_longest_text_whole() -> None:
    for task in ("sentiment-analysis", "ner"):
        (row,) = map(json.loads, run("bench", "--tokens", "256", "--task", task).stdout.splitlines())
        assert 240 <= row["tokens"] < 256


def test_bench_wants_lengths_that_the_model_reads() -> None:
    for wrong in ("a", "0", "8,,9", ""):
        done = run("bench", "--tokens", wrong)
        assert done.returncode == 2 and "--tokens: expected whole numbers of at least 1" in done.stderr
    done = run("bench", "--tokens", "257")
    assert done.returncode == 2 and "at most 256" in done.stderr
    done = run("bench", "--tokens", "8", "--format", "xml")
    assert done.returncode == 2 and "--format: expected one of table, jsonl" in done.stderr


def test_doctor() -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stderr
    for part in ("processor", "instruction set", "threads", "bfloat16", "GB/s", "GFLOP/s", "Hub cache"):
        assert part in done.stdout, part
    quick = run("doctor", "--quick", CANDLEWICK_ISA="scalar", CANDLEWICK_NUM_THREADS="3", HF_HOME="/nowhere").stdout
    assert "scalar (CANDLEWICK_ISA=scalar; available: scalar" in quick and "GB/s" not in quick
    assert "CANDLEWICK_NUM_THREADS=3" in quick and "/nowhere/hub (0 models)" in quick
    assert "int8 (widened)" in quick and "bfloat16 (widened)" in quick
    wrong = run("doctor", CANDLEWICK_ISA="mmx")
    assert wrong.returncode == 2 and "CANDLEWICK_ISA: expected scalar" in wrong.stderr


def test_doctor_says_why_an_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from candlewick import _cli_doctor, _native

    machine = _native.machine(False) | {"refused": "amx: permission refused by the kernel: not permitted"}
    monkeypatch.setattr(_native, "machine", lambda measure: machine)
    line = dict(_cli_doctor.report(False))["instruction set"]
    assert line.endswith("; amx: permission refused by the kernel: not permitted)")


def test_version() -> None:
    assert run("--version").stdout == f"candlewick {candlewick.__version__}\n"
