"""`load_sample`: the embedded sample of customer messages."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from tlclassic._validate import check_choice
from tlclassic.data.batches import read_batches
from tlclassic.data.dataset import Dataset

__all__ = ["SAMPLE_TASKS", "Sample", "load_sample"]

SAMPLE_TASKS = ("topic", "sentiment", "urgency")
_SPLITS = ("train", "dev", "test")
_FOLDER = "sample"


@dataclass(frozen=True)
class Sample:
    """Messages of the embedded sample.

    Attributes
    ----------
    texts : list of str
    topic, sentiment, urgency : list of str or None
        One label a text for each of the three tasks, ``None`` where it was left out.
    ids : list of str
    splits : list of str
        ``"train"``, ``"dev"``, ``"test"`` or ``"unlabelled"`` of each text.
    """

    texts: list[str]
    topic: list[str | None]
    sentiment: list[str | None]
    urgency: list[str | None]
    ids: list[str]
    splits: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def dataset(self, task: str) -> Dataset:
        """The texts that have a label for ``task``, with it; ``lines`` counts them from 1 in this sample."""
        check_choice("task", task, SAMPLE_TASKS)
        labels = getattr(self, task)
        places = [place for place, label in enumerate(labels) if label is not None]
        return Dataset(
            texts=[self.texts[place] for place in places],
            labels=[labels[place] for place in places],
            lines=[place + 1 for place in places],
            n_unlabelled=len(self) - len(places),
        )


def load_sample(split: str | None = None) -> Sample:
    """Load the embedded sample of short customer messages.

    Parameters
    ----------
    split : {"train", "dev", "test", "unlabelled"}, optional
        By default all three labelled parts.

    Examples
    --------
    >>> from tlclassic.data import load_sample
    >>> sample = load_sample("train")
    >>> len(sample), sample.texts[0][:24]
    (640, 'They squeezed a big enve')
    """
    check_choice("split", split, (None, *_SPLITS, "unlabelled"))
    folder = resources.files("tlclassic.data") / _FOLDER
    if split == "unlabelled":
        with resources.as_file(folder / "unlabelled.txt") as path:
            return _unlabelled(str(path))
    with resources.as_file(folder / "messages.tsv") as path:
        return _labelled(str(path), split)


def _unlabelled(path: str) -> Sample:
    texts = [text for batch in read_batches(path, columns=["text"], format="txt") for text in batch.columns["text"]]
    ids = [f"unlabelled-{number}" for number in range(1, len(texts) + 1)]
    absent: list[str | None] = [None] * len(texts)
    return Sample(texts, absent, absent, absent, ids, ["unlabelled"] * len(texts))


def _labelled(path: str, split: str | None) -> Sample:
    names = ["text", *SAMPLE_TASKS, "id", "split"]
    rows = [row for batch in read_batches(path, columns=names) for row in zip(*batch.columns.values(), strict=True)]
    kept = [row for row in rows if split is None or row[-1] == split]
    texts, topic, sentiment, urgency, ids, splits = map(list, zip(*kept, strict=True))
    return Sample(texts, _gaps(topic), _gaps(sentiment), _gaps(urgency), ids, splits)


def _gaps(labels: list[str]) -> list[str | None]:
    return [label or None for label in labels]
