"""Other families than BERT: the same comparison, for the shapes of models that people use."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import tagger
from comparison import OURS, Engines, in_turn, seconds
from engines import transformers_pipeline
from report import Report
from subjects import BART_LARGE, DEBERTA, MODERNBERT, RERANKER, XLM_ROBERTA_LARGE, Subject
from texts import Texts
from tokenizers import Tokenizer

import candlewick

THREADS = 2
#: Tokens of a text, special ones included, and how often each engine answers it.
LENGTHS = [(8, 32), (32, 24), (128, 12), (512, 4)]
#: What is compared of whom.
COMPARED = [
    (DEBERTA, "float32"),
    (DEBERTA, "bfloat16"),
    (DEBERTA, "int8"),
    (XLM_ROBERTA_LARGE, "float32"),
    (XLM_ROBERTA_LARGE, "int8"),
    (BART_LARGE, "float32"),
    (BART_LARGE, "int8"),
]
DOCUMENTS, TOKENS = 100, 120


@pytest.fixture(scope="module", params=COMPARED, ids=lambda pair: f"{pair[0].name} {pair[1]}")
def engines(request: pytest.FixtureRequest) -> Iterator[Engines]:
    """All engines with the same network and numbers."""
    engines = Engines(*request.param, THREADS)
    engines.check()
    yield engines


@pytest.mark.parametrize(("tokens", "rounds"), LENGTHS)
def test_one_text(engines: Engines, family_report: Report, tokens: int, rounds: int) -> None:
    engines.measure(tokens, rounds, family_report)


def torch_network(subject: Subject) -> Callable[[list[int]], Any]:
    """A network in bfloat16 by torch alone, which exports none of its local attention to other engines."""
    import torch

    torch.set_num_threads(THREADS)
    model = subject.network.from_pretrained(subject.make(), dtype=torch.bfloat16, attn_implementation="sdpa").eval()

    def run(ids: list[int]) -> Any:
        with torch.inference_mode():
            return model(torch.tensor([ids])).logits

    return run


@pytest.mark.parametrize("tokens", [512, 4_096])
def test_long_text(family_report: Report, tokens: int) -> None:
    """ModernBERT, whose attention is local in two of three layers."""
    theirs = torch_network(MODERNBERT)
    pipe = candlewick.pipeline("ner", MODERNBERT.folder, dtype="bfloat16", threads=THREADS)
    text = " ".join([Texts().of(512)] * (tokens // 512))
    ids = Tokenizer.from_file(str(MODERNBERT.folder / "tokenizer.json")).encode(text).ids
    calls = {OURS: lambda: pipe(text), "torch": lambda: theirs(ids)}
    family_report.add(MODERNBERT.title, "bfloat16", THREADS, f"{len(ids):,} tokens", in_turn(calls, 4, each=2))


def test_reranking(family_report: Report) -> None:
    """A query against documents, with a model of one label."""
    texts, folder = Texts(), RERANKER.make()
    query, documents = texts.of(12), [texts.of(TOKENS, 17 * index) for index in range(DOCUMENTS)]
    pipe = candlewick.pipeline("text-classification", folder, dtype="int8", quality="skip", threads=THREADS)
    reference = transformers_pipeline(RERANKER, THREADS)
    pairs = [{"text": query, "text_pair": document} for document in documents]
    ours = statistics.median(seconds(partial(pipe.rank, query, documents)) for _ in range(3))
    best = min(seconds(partial(reference, pairs, size)) for size in (1, 8, 16, 32))
    what = f"{DOCUMENTS} documents of {TOKENS} tokens against a query, {RERANKER.title}, int8"
    family_report.fact(what, f"{ours:.2f} s")
    family_report.fact(
        f"{what}: transformers pipeline (float32, best of batch 1, 8, 16, 32) over it", f"{best / ours:.1f}"
    )


#: Sentences of 20 words, and rounds: a few, and a page.
SENTENCES = [(3, 8), (50, 4)]


def test_tagging(family_report: Report) -> None:
    """Flair's tagger, in float32, against candlewick in all numbers; what int8 does is decided by its gate."""
    folder, flairs = tagger.make().parent, tagger.reference(THREADS)
    pipes = {dtype: candlewick.pipeline("ner", folder, dtype=dtype, threads=THREADS) for dtype in tagger.DTYPES}
    rates = tagger.Rates(THREADS)
    for count, rounds in SENTENCES:
        texts = tagger.sentences(count, 20)
        what, expected = f"{count} sentences of 20 words", flairs(texts)
        for dtype, pipe in pipes.items():
            found = pipe(texts)
            assert tagger.agreement(expected, found) >= tagger.AGREEMENT[dtype], dtype
            times = in_turn({OURS: partial(pipe, texts), tagger.PEER: partial(flairs, texts)}, rounds)
            share = rates.limit(texts, dtype) / statistics.median(times[OURS])
            family_report.add(tagger.NAME, f"{dtype} against float32", THREADS, what, times, share)
