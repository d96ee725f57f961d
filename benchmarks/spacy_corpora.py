"""The corpora of bench_spacy as spaCy's documents: one for each sentence, tokens as the corpus has them."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from common import SHARED, dataset
from spacy.tokens import Doc
from spacy.training import Example, iob_to_biluo
from spacy.vocab import Vocab

PARTS = ("train", "dev", "test")
#: Sentences of a training part that are used: all of them, on all backbones, take many hours.
LIMIT = 2000
_VOCAB = Vocab()


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


def _conllu(path: Path) -> Iterator[dict[str, list[Any]]]:
    """Sentences as columns; a token of several words is split, with white space behind its last word alone."""
    rows: list[tuple[str, bool, str, int, str]] = []
    inside, tail = 0, True
    for line in _lines(path):
        if not line:
            yield _sentence(rows)
            rows, inside = [], 0
            continue
        cells = line.split("\t")
        if line.startswith("#") or "." in cells[0]:
            continue
        space = "SpaceAfter=No" not in cells[9]
        if "-" in cells[0]:
            inside, tail = int(cells[0].partition("-")[2]), space
            continue
        number = int(cells[0])
        if number <= inside:
            space = tail if number == inside else False
        rows.append((cells[1], space, cells[4], int(cells[6]) - 1, cells[7]))


def _sentence(rows: list[Any]) -> dict[str, list[Any]]:
    words, spaces, tags, heads, deps = (list(column) for column in zip(*rows, strict=True))
    heads = [place if head < 0 else head for place, head in enumerate(heads)]
    return {"words": words, "spaces": spaces, "tags": tags, "heads": heads, "deps": deps}


def _conll(path: Path) -> Iterator[dict[str, list[Any]]]:
    words: list[str] = []
    tags: list[str] = []
    for line in _lines(path):
        if line and not line.startswith("-DOCSTART-"):
            cells = line.split("\t")
            words.append(cells[0])
            tags.append(cells[-1])
        elif words:
            yield {"words": words, "spaces": [True] * len(words), "entities": iob_to_biluo(tags)}
            words, tags = [], []
    if words:
        yield {"words": words, "spaces": [True] * len(words), "entities": iob_to_biluo(tags)}


def _sst2(part: str) -> Iterator[dict[str, Any]]:
    texts, labels = dataset("sst2")[part]
    for text, label in zip(texts, labels, strict=True):
        words = text.split()
        cats = {name: float(name == label) for name in ("negative", "positive")}
        yield {"words": words, "spaces": [True] * len(words), "cats": cats}


@cache
def corpus(name: str, part: str) -> list[dict[str, Any]]:
    """The documents of a part, as what :func:`examples` takes; of train LIMIT of them."""
    rows = _read(name, part)
    if part != "train":
        return rows
    # Reviews stand in the order of their sentiment: the first 2,000 are nearly all positive.
    return rows[:: max(1, len(rows) // LIMIT)][:LIMIT] if name == "sst2" else rows[:LIMIT]


def _read(name: str, part: str) -> list[dict[str, Any]]:
    if name == "sst2":
        return list(_sst2(part))
    folder, ending = (SHARED / "data" / "ud_english_ewt", "conllu") if name == "ewt" else (
        SHARED / "data" / "conll2003", "conll"
    )  # fmt: skip
    path = next(path for path in (folder / f"{part}.{ending}", folder / f"{part}.{ending}.gz") if path.exists())
    read: Callable[[Path], Any] = _conllu if name == "ewt" else _conll
    return list(read(path))


def examples(rows: list[dict[str, Any]], vocab: Any) -> list[Example]:
    """Fresh examples: the tokens of the corpus to predict on, and its annotations."""
    made = []
    for row in rows:
        given = {name: values for name, values in row.items() if name != "spaces"}
        made.append(Example.from_dict(Doc(vocab, words=row["words"], spaces=row["spaces"]), given))
    return made


def n_words(rows: list[dict[str, Any]]) -> int:
    """Words of documents."""
    return sum(len(row["words"]) for row in rows)


def texts(rows: list[dict[str, Any]]) -> list[str]:
    """The documents' texts."""
    return [Doc(_VOCAB, words=row["words"], spaces=row["spaces"]).text for row in rows]
