"""Many threads, Ctrl-C, fork, spawn: a pipeline goes on, and answers stay the same."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import candlewick

MODELS = Path(__file__).parent / "golden" / "models"
Tokens = candlewick.TokenClassificationPipeline
Texts = candlewick.TextClassificationPipeline
TEXTS = ["Sarah lives in London . " * (1 + number * 7 % 9) for number in range(60)]


def script(source: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run Python source in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(source)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def test_eight_threads_on_one_pipeline(tiny: Tokens, labels: Texts) -> None:
    expected = [(tiny(text, ignore_labels=[]), labels(text, top_k=None, truncation=True)) for text in TEXTS]
    wholes = tiny(TEXTS, ignore_labels=[])

    def work(worker: int) -> None:
        for number in range(worker, len(TEXTS), 8):
            tokens, classes = expected[number]
            assert tiny(TEXTS[number], ignore_labels=[]) == tokens
            assert labels(TEXTS[number], top_k=None, truncation=True, threads=1 + worker % 3) == classes
        assert tiny(TEXTS, ignore_labels=[]) == wholes

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_loading_and_closing_in_threads() -> None:
    def work(_: int) -> int:
        with candlewick.pipeline("ner", MODELS / "bert-ner", threads=1) as pipe:
            return len(pipe("Sarah lives in London", ignore_labels=[]))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(24)))) == 1


def test_closing_while_others_compute() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner")
    failures: list[Exception] = []

    def work() -> None:
        try:
            while True:
                pipe(TEXTS)
        except candlewick.errors.BackendError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    pipe.close()
    for thread in threads:
        thread.join(20)
    assert len(failures) == 4 and all("closed" in str(error) for error in failures)


def test_the_gil_is_released(ner: Tokens) -> None:
    texts = ["My name is Sarah Jessica Parker but you can call me Jessica. " * 8] * 200
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    ner(texts)
    done.set()
    thread.join()
    assert ticks > 5


def test_threads_are_those_that_the_machine_allows() -> None:
    done = script("""
        import os
        import candlewick
        # A cgroup may allow fewer than the affinity does.
        assert 1 <= candlewick.pipeline("ner").info["threads"] <= len(os.sched_getaffinity(0))
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        assert candlewick.pipeline("ner").info["threads"] == 1
        many = candlewick.pipeline("ner", threads=64)  # more than there are processors
        print(many.info["threads"], len(many("Call me Jessica")), len(many("Call me Jessica", threads=3)))
    """)
    assert done.stdout == "64 1 1\n", done.stderr


@pytest.fixture
def half_a_processor() -> Iterator[Path]:
    """A control group that may use half of one processor."""
    mounts = [
        (Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us", "50000"),
        (Path("/sys/fs/cgroup"), "cpu.max", "50000 100000"),
    ]
    for mount, name, limit in mounts:
        group = mount / f"candlewick-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(limit)
            (group / "cgroup.procs").stat()
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("this machine lets nobody make a control group for processor time")


def test_half_a_processor_is_one_thread_and_answers(half_a_processor: Path) -> None:
    done = script(f"""
        import os
        from pathlib import Path
        Path("{half_a_processor}/cgroup.procs").write_text(str(os.getpid()))
        import candlewick
        from candlewick._cgroup import cpu_limit
        ner = candlewick.pipeline("ner")
        print(ner.info["threads"], cpu_limit(), len(ner("Call me Jessica", threads=2)))
    """)
    assert done.stdout == "1 0.5 1\n", done.stderr


def test_control_c_stops_a_long_call() -> None:
    done = script("""
        import os, signal, threading, time
        import candlewick
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
        ner = candlewick.pipeline("ner", threads=1)
        texts = ["My name is Sarah Jessica Parker but you can call me Jessica. " * 12] * 200_000
        for call in (ner, lambda texts: list(ner.stream(texts)), lambda texts: list(ner(iter(texts)))):
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            start = time.monotonic()
            try:
                call(texts)
                raise SystemExit("was not interrupted")
            except KeyboardInterrupt:
                print(time.monotonic() - start)
        print(len(ner("Call me Jessica")))
    """)
    assert done.returncode == 0, done.stderr
    *waits, after = map(float, done.stdout.split())
    assert len(waits) == 3 and max(waits) < 30, waits
    assert after == 1


def test_control_c_ends_the_command(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("My name is Sarah Jessica Parker but you can call me Jessica.\n" * 300_000, encoding="utf-8")
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "candlewick", "ner", "-f", str(file), "-o", str(output)]
    # A shell may have had the signal ignored.
    reset = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=reset) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in message
    assert not output.exists()


FORK = """
    import os, sys
    import candlewick
    ner = candlewick.pipeline("ner")
    {before}
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            found = ner(["Call me Jessica"] * 20)
            os._exit(0 if [len(entities) for entities in found] == [1] * 20 else 1)
        children.append(child)
    {after}
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(codes, len(ner("Call me Jessica")))
"""


def test_fork_before_and_after_a_computation() -> None:
    compute = 'ner(["Call me Jessica"] * 20)'
    for before, after in (("", ""), (compute, ""), (compute, compute)):
        done = script(FORK.format(before=before, after=after))
        assert done.returncode == 0, done.stderr
        assert done.stdout.split("]")[0] == "[0, 0, 0, 0", done.stdout
        assert done.stdout.split("]")[1].strip() == "1"


def test_fork_while_another_thread_computes() -> None:
    done = script("""
        import os, threading
        import candlewick
        ner = candlewick.pipeline("ner")
        stop = threading.Event()
        def work():
            while not stop.is_set():
                ner(["Call me Jessica"] * 50)
        thread = threading.Thread(target=work)
        thread.start()
        codes = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if len(ner("Call me Jessica")) == 1 else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        thread.join()
        print(codes)
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([0] * 10)


def test_multiprocessing_by_spawn_and_fork() -> None:
    source = """
        import multiprocessing, sys
        import candlewick
        def count(job):
            pipe, text = job
            return len(pipe(text))
        if __name__ == "__main__":
            pipe = candlewick.pipeline("ner", aggregation_strategy="simple")
            for method in ("spawn", "fork"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    print(pool.map(count, [(pipe, "Call me Jessica")] * 4))
    """
    file = Path(os.environ.get("PYTEST_TMP", "/tmp")) / f"candlewick-spawn-{os.getpid()}.py"
    file.write_text(textwrap.dedent(source), encoding="utf-8")
    try:
        done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=100, check=False)
    finally:
        file.unlink()
    assert done.stdout.split() == ["[1,", "1,", "1,", "1]"] * 2, done.stderr


def test_a_pipeline_pickles_as_its_arguments() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner", aggregation_strategy="simple", ignore_labels=[], threads=1)
    data = pickle.dumps(pipe)
    assert len(data) < 2_000
    twin = pickle.loads(data)
    assert twin("Sarah lives in London") == pipe("Sarah lives in London")
    assert twin.info == pipe.info


def test_threads_end_with_their_pipeline() -> None:
    done = script("""
        import os, time
        import candlewick
        def threads():
            return len(os.listdir("/proc/self/task"))
        before = threads()
        for _ in range(5):
            with candlewick.pipeline("ner", threads=3) as pipe:
                pipe("Call me Jessica")
                most = threads()
        deadline = time.monotonic() + 10
        while threads() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        print(most - before, threads() - before)
    """)
    # The caller is one of its three.
    assert done.stdout.split() == ["2", "0"], done.stdout + done.stderr


def test_memory_does_not_grow_with_calls(tiny: Tokens) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])

    def some() -> None:
        for _ in range(30):
            tiny(TEXTS, ignore_labels=[])
            list(tiny.stream(TEXTS))
            tiny.logits(TEXTS)
            tiny.query({"inputs": TEXTS})

    some()
    before = resident()
    for _ in range(4):
        some()
    assert (resident() - before) * os.sysconf("SC_PAGE_SIZE") < 8 << 20
