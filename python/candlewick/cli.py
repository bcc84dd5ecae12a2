"""The command line: raw arguments are read here, resolved into one `Job`, and nothing else reads them."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from candlewick._cli_output import Writer

#: Texts that are in work at once: enough to fill batches, few enough that a file of any size takes little memory.
GROUP = 256
_FORMATS = ("table", "jsonl", "html")


@dataclass(frozen=True)
class Job:
    """What one run of `ner` or `classify` does."""

    task: str
    model: str | None
    revision: str | None
    options: dict[str, Any]
    texts: tuple[str, ...]
    files: tuple[str, ...]
    column: str
    format: str | None
    output: Path | None
    threads: int | None


def main() -> None:
    """Entry point of `candlewick`: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    if sys.argv[1:] == ["--version"]:  # answered without the libraries of the command line
        from candlewick import __version__

        print(f"candlewick {__version__}")
        return
    if sys.argv[1:2] == ["serve"]:  # a server should be there at once
        from candlewick._cli_serve import main as serve

        sys.exit(serve(sys.argv[2:]))
    sys.exit(_run())


def _run() -> int:
    from candlewick._cli_input import InputFileError
    from candlewick._verify import VerificationError
    from candlewick.errors import CandlewickError, ParameterError

    warnings.showwarning = _show_warning
    try:
        _app()(prog_name="candlewick", standalone_mode=True)
    except ParameterError as error:
        _fail(str(error))
        return 2
    except (CandlewickError, InputFileError, VerificationError) as error:
        return _fail(str(error))
    except BrokenPipeError:
        # The reader has gone; without this, Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(message: str) -> int:
    print(f"candlewick: {message}", file=sys.stderr)
    return 1


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"candlewick: warning: {message}", file=sys.stderr)


def _app() -> Any:
    import typer

    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Token and text classification with BERT-family encoders.",
    )
    texts = typer.Argument(None, metavar="TEXT", help="Texts; - reads standard input, a line is a text.")
    file = typer.Option(
        [], "--file", "-f", metavar="FILE", help="A .txt, .jsonl, .csv or .parquet file; may be repeated."
    )
    column = typer.Option("text", metavar="NAME", help="Where the text is in .jsonl, .csv and .parquet files.")
    model = typer.Option(
        None, "--model", "-m", metavar="MODEL", help="A Hub id or a folder; without one, the demo model."
    )
    revision = typer.Option(None, metavar="NAME", help="Branch, tag or commit of a Hub model.")
    format_ = typer.Option(
        None, "--format", metavar="FORMAT", help="table, jsonl or html; by default a table on a terminal, else jsonl."
    )
    output = typer.Option(None, "--output", "-o", metavar="FILE", help="Where to write; by default standard output.")
    out = typer.Argument(
        None, metavar="OUT", help="The folder to write; without one, the cache, where loading would put it."
    )
    models = typer.Argument(..., metavar="MODEL", help="Hub ids or folders.")
    more = typer.Option(
        [], "--file", "-f", metavar="FILE", help="More texts: a .txt file (a line is a text), .jsonl or .csv."
    )
    batch = typer.Option(None, metavar="N", help="Most texts per forward pass.")
    threads = typer.Option(None, metavar="N", help="Threads; by default what this machine allows.")

    @app.callback()
    def version(show: bool = typer.Option(False, "--version", help="Show the version.")) -> None:
        pass  # --version alone is answered by `main`; this lists it in --help

    @app.command(
        epilog=_examples(
            'candlewick ner "Call me Jessica"',
            "candlewick ner -f mails.csv --column body > found.jsonl",
            "candlewick ner -f report.txt --format html -o report.html",
        )
    )
    def ner(
        text: list[str] = texts,
        file: list[str] = file,
        column: str = column,
        model: str = model,
        revision: str = revision,
        strategy: str = typer.Option("simple", metavar="NAME", help="none, simple, first, average or max."),
        stride: int = typer.Option(
            None, metavar="N", help="Tokens that the windows of a long text share; without it, texts are cut."
        ),
        format: str = format_,
        output: Path = output,
        batch_size: int = batch,
        threads: int = threads,
    ) -> None:
        """Find names, places and the like in texts."""
        options = {"aggregation_strategy": strategy, "stride": stride, "batch_size": batch_size}
        _do(
            Job(
                task="token-classification",
                model=model,
                revision=revision,
                options=options,
                texts=tuple(text or ()),
                files=tuple(file),
                column=column,
                format=format,
                output=output,
                threads=threads,
            )
        )

    @app.command(
        epilog=_examples(
            'candlewick classify "What a wonderful evening!"',
            "candlewick classify -f reviews.jsonl --top-k 3",
            "zcat log.gz | candlewick classify - > labels.jsonl",
        )
    )
    def classify(
        text: list[str] = texts,
        file: list[str] = file,
        column: str = column,
        model: str = model,
        revision: str = revision,
        top_k: int = typer.Option(None, metavar="N", help="How many labels; by default all of them."),
        function: str = typer.Option(
            None, metavar="NAME", help="sigmoid, softmax or none; by default what the model says."
        ),
        format: str = format_,
        output: Path = output,
        batch_size: int = batch,
        threads: int = threads,
    ) -> None:
        """Give labels to whole texts."""
        options = {"top_k": top_k, "function_to_apply": function, "truncation": True, "batch_size": batch_size}
        _do(
            Job(
                task="text-classification",
                model=model,
                revision=revision,
                options=options,
                texts=tuple(text or ()),
                files=tuple(file),
                column=column,
                format=format,
                output=output,
                threads=threads,
            )
        )

    @app.command(epilog=_examples("candlewick doctor", "CANDLEWICK_ISA=avx2 candlewick doctor --quick"))
    def doctor(
        quick: bool = typer.Option(False, "--quick", help="Without the measurements, which take half a second."),
    ) -> None:
        """Show what this machine has, and what would run on it."""
        from candlewick._cli_doctor import report

        for name, value in report(measure=not quick):
            print(f"{name:18} {value}")

    @app.command(
        epilog=_examples(
            "candlewick bench",
            "candlewick bench dslim/bert-base-NER --dtype auto --tokens 16,64,256",
            "candlewick bench --threads 1 --format jsonl",
        )
    )
    def bench(
        model: str = typer.Argument(None, metavar="MODEL", help="A Hub id or a folder; without one, the demo model."),
        task: str = typer.Option(None, metavar="NAME", help="By default what the model says."),
        revision: str = revision,
        dtype: str = typer.Option("float32", metavar="NAME", help="float32, bfloat16, int8 or auto."),
        tokens: str = typer.Option("8,32,128,512", metavar="N,N", help="Lengths of texts, special tokens included."),
        threads: int = threads,
        format: str = typer.Option(
            None, "--format", metavar="FORMAT", help="table or jsonl; by default a table on a terminal, else jsonl."
        ),
    ) -> None:
        """Show how fast a model is here, where the time goes, and how far that is from what this machine can do."""
        from candlewick._cli_bench import run

        format_ = format or ("table" if sys.stdout.isatty() else "jsonl")
        if format_ not in ("table", "jsonl"):
            _usage(f"--format: expected one of table, jsonl, got {format_}")
        run(model, task=task, revision=revision, dtype=dtype, lengths=tokens, threads=threads, format_=format_)

    @app.command(
        epilog=_examples(
            "candlewick convert ProsusAI/finbert ./finbert",
            "candlewick convert ./model ./model",
            "candlewick convert ProsusAI/finbert",
        )
    )
    def convert(
        model: str = typer.Argument(..., metavar="MODEL", help="A Hub id or a folder with pytorch_model.bin."),
        out: Path = out,
        revision: str = revision,
        overwrite: bool = typer.Option(False, "--overwrite", help="Replace files that are there."),
    ) -> None:
        """Write a pickled checkpoint as safetensors; nothing in it is executed."""
        from candlewick._cli_convert import run

        print("\n".join(run(model, out, revision=revision, overwrite=overwrite)))

    @app.command(
        epilog=_examples(
            "candlewick verify dslim/bert-base-NER",
            "candlewick verify ./model --file texts.txt --save",
            "candlewick verify ./model --dtype bfloat16 --tolerance 0.05",
        )
    )
    def verify(
        models: list[str] = models,
        file: list[Path] = more,
        column: str = column,
        revision: str = revision,
        dtype: str = typer.Option("float32", metavar="NAME", help="What is compared: float32, bfloat16, int8 or auto."),
        tolerance: float = typer.Option(
            None, metavar="X", help="How far scores may differ; by default 1e-5, a tagger's 1e-4."
        ),
        save: bool = typer.Option(False, "--save", help="Keep the reference, for machines without the library."),
        only_saved: bool = typer.Option(False, "--saved", help="Use the kept one even where the library is there."),
    ) -> None:
        """Compare a model's answers with those of its library, or with a reference that was kept.

        The library is transformers, or flair for its taggers. Flair executes what stands in a tagger's file, so let it
        read only those that you trust, or use --saved.

        The exit code is 0 if all scores are within the tolerance and no label is another one, else 1.
        """
        from candlewick._cli_verify import run

        good = True
        for model in models:
            lines, one = run(
                model,
                revision=revision,
                files=file,
                column=column,
                dtype=dtype,
                tolerance=tolerance,
                save=save,
                only_saved=only_saved,
            )
            print("\n".join(lines))
            good = good and one
        raise typer.Exit(0 if good else 1)

    @app.command(context_settings={"help_option_names": []})
    def serve() -> None:
        """Serve models with the HTTP interface of the Inference API."""  # listed in --help; `main` answers it

    cache = typer.Typer(help="Packed and converted weights and references that are kept on disk.", no_args_is_help=True)
    app.add_typer(cache, name="cache")

    @cache.command("list")
    def list_() -> None:
        """Show what is kept, the model used last first."""
        from candlewick._cli_cache import listing

        print("\n".join(listing()))

    @cache.command()
    def clear() -> None:
        """Remove all of it; models convert and pack their weights anew when they are loaded."""
        from candlewick._cli_cache import clear

        print(clear())

    return app


def _examples(*commands: str) -> str:
    """The end of a command's help; the mark keeps its lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def _do(job: Job) -> None:
    """Read, answer and write, a group of texts at a time."""
    import candlewick
    from candlewick import _cli_input, _cli_output

    format_ = job.format or ("table" if job.output is None and sys.stdout.isatty() else "jsonl")
    if format_ not in _FORMATS:
        _usage(f"--format: expected one of {', '.join(_FORMATS)}, got {format_}")
    sources = _sources(job)
    with candlewick.pipeline(job.task, job.model, revision=job.revision, threads=job.threads, **job.options) as pipe:
        texts = _cli_input.read(sources, job.column)
        with _destination(job.output) as stream:
            writer = _cli_output.writer(format_, job.task, stream)
            writer.start()
            _answer(pipe, texts, writer)
            writer.finish()


def _sources(job: Job) -> list[str | Path]:
    """Where texts come from, in the order of the command line: texts, files, standard input."""
    from candlewick._cli_input import STDIN

    sources: list[str | Path] = [STDIN if text == "-" else text for text in job.texts]
    sources += [Path(file) for file in job.files]
    if not sources:
        if sys.stdin is None or sys.stdin.isatty():
            _usage("expected a text, a file or a pipe, got nothing")
        sources = [STDIN]
    return sources


def _usage(message: str) -> NoReturn:
    import typer

    raise typer.BadParameter(message)


def _answer(pipe: Any, texts: Iterable[str], writer: Writer) -> None:
    from candlewick._cli_output import Progress

    done = 0
    with Progress() as progress:
        for group in _groups(texts):
            # Short texts first would reorder the output; a list keeps its order.
            for text, answer in zip(group, pipe(group), strict=True):
                writer.write(text, answer)
            done += len(group)
            progress.show(done, pipe._native.computed_tokens)


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while group := list(islice(iterator, GROUP)):
        yield group


@contextlib.contextmanager
def _destination(output: Path | None) -> Iterator[Any]:
    """Standard output, or a file that appears only when it is complete."""
    if output is None:
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
        yield sys.stdout
        sys.stdout.flush()
        return
    partial = output.with_name(f".{output.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            yield stream
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
