"""The corpus of base-en, out of ../shared/data: ``python models/base-en/corpus.py corpus.txt``. No label is read.

Texts that also stand in a dev or test part of a classification set are left out, whatever their case and punctuation.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TRAINING = ("ag_news", "banking77", "goemotions", "stackoverflow20", "trec6", "mr", "cr", "subj", "mpqa", "sst2",
            "reuters_r8")  # fmt: skip
HELD_OUT = ("mr", "cr", "subj", "mpqa", "sst2", "sst5", "ag_news", "goemotions", "stackoverflow20", "umsab")
#: Sets without a dev part: every seventh training row is one in the benchmarks, which read the test part as well.
NO_DEV = ("trec6", "banking77", "reuters_r8")
_LONG = 12


def column(path: Path, name: str = "text") -> list[str]:
    """One column of an unquoted TSV file, gzip or plain."""
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8", newline="") as file
    ):
        return [row[name] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def sources() -> Iterator[Iterable[str]]:
    """All texts, in a fixed order."""
    yield column(DATA / "general_english" / "sentences.tsv.gz")
    with gzip.open(DATA / "imdb_unsup" / "sentences.txt.gz", "rt", encoding="utf-8") as file:
        reviews = [line.rstrip("\n") for line in file]
    random.Random(0).shuffle(reviews)
    yield reviews[:150_000]
    for name in TRAINING:
        yield column(DATA / name / "train.tsv")
    for side in ("sentence1", "sentence2"):
        yield column(DATA / "stsb" / "train.tsv", side)
    with (DATA / "snips" / "train.jsonl").open(encoding="utf-8") as file:
        yield [" ".join(json.loads(line)["tokens"]) for line in file]


def held_out() -> set[str]:
    """The keys of the texts that must not be learned from."""
    texts: list[str] = []
    for name in HELD_OUT:
        texts += [text for part in ("dev", "test") for text in column(DATA / name / f"{part}.tsv")]
    for name in NO_DEV:
        texts += column(DATA / name / "test.tsv")
        texts += column(DATA / name / "train.tsv")[3::7]
    return {key for key in map(_key, texts) if len(key) > _LONG}


def _key(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def main(out: Path) -> None:
    """Gather, drop repeats, shuffle, leave out."""
    texts = [" ".join(text.split()) for part in sources() for text in part if text.strip()]
    texts = list(dict.fromkeys(texts))
    random.Random(1).shuffle(texts)
    refused = held_out()
    kept = [text for text in texts if _key(text) not in refused]
    out.write_text("\n".join(kept) + "\n", encoding="utf-8")
    print(f"wrote {out}: {len(kept):,} texts of {len(texts):,}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
