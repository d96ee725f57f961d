"""From an encoder's folder, texts and labels to the folder of a classifier."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tlclassic._compat import available_cpus
from tlclassic._validate import check_choice, check_integer, check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.checkpoints import Checkpoints
from tlclassic.finetune.contrastive import train_few
from tlclassic.finetune.folders import check_folder, new_folder
from tlclassic.finetune.hardware import cpu_threads
from tlclassic.finetune.layout import read_layout
from tlclassic.finetune.options import FineTuneOptions
from tlclassic.finetune.result import FineTuned, write_result
from tlclassic.finetune.trainer import train_encoder

__all__ = ["FineTuned", "digest_of_weights", "fine_tune", "open_run", "settings_of"]

Options = TypeVar("Options", bound=FineTuneOptions)

#: What replaces the defaults where labels are few: one pass over pairs, of all layers, at the rate of SetFit.
_FEW: dict[str, Any] = {"learning_rate": 2e-5, "decay": 1.0, "schedule": "linear"}


def fine_tune(
    source: str | os.PathLike[str],
    texts: Sequence[str],
    labels: Any,
    out: str | os.PathLike[str],
    *,
    dev: tuple[Sequence[str], Any] | None = None,
    classes: Any = None,
    multilabel: Any = False,
    sample_weight: Any = None,
    contrastive: bool = False,
    pairs: int | None = None,
    int8: bool = True,
    weights: bool = False,
    force: bool = False,
    resume: bool = True,
    checkpoints: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    columns: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_frozen: Callable[[int, int], None] | None = None,
    **options: Any,
) -> FineTuned:
    """Fine-tune an encoder on labelled texts and write the classifier as a folder that runs without torch.

    Parameters
    ----------
    source : path-like
        Folder of an encoder as Hugging Face and sentence-transformers lay it out, with ``model.safetensors``.
    texts : list of str, length n
    labels : array-like or dict
        One label a text; or a matrix (n, C) of probabilities, or of 0 and 1 with ``multilabel``, and ``classes``; or a
        dict of these by the names of several tasks, where None is a missing label.
    out : path-like
        The new folder, which appears whole or not at all.
    dev : tuple of texts and labels, optional
        By which the best state is told, and int8 is judged.
    classes, multilabel, sample_weight
        As of :func:`tlclassic.finetune.tasks.read_tasks`.
    contrastive : bool
        For few labels (up to a hundred a class or so): tune on pairs and fit a logistic regression, as SetFit does
        (Tunstall et al. 2022, https://arxiv.org/abs/2209.11055). One task with hard labels.
    pairs : int, optional
        How many pairs are drawn with ``contrastive``.
    int8 : bool
        Write the quantised graph as well.
    weights : bool
        Write the torch weights as well, so that the folder can be fine-tuned further.
    force : bool
        Replace ``out`` if it is a result of fine-tuning; other folders are never replaced.
    resume : bool
        Go on from the state that a killed run with the same data and settings left behind.
    checkpoints : path-like, optional
        The file of that state; ``.NAME.checkpoint`` beside ``out`` where None. Removed at the end.
    checkpoint_seconds : float
        How old the state may get.
    columns : mapping, optional
        ``"text"``, ``"label"``, ``"separator"``: where the data were read from; kept for commands that read like data.
    on_progress, on_frozen : callable, optional
        Called with steps done and their number; with texts done and their number while frozen layers are computed.
    **options
        As of :class:`~tlclassic.finetune.options.FineTuneOptions`: ``train``, ``head``, ``epochs`` and so on.

    Returns
    -------
    FineTuned

    Raises
    ------
    InvalidParameterError, InputError, EncoderFormatError, MissingExtraError
    """
    for name, value in (("contrastive", contrastive), ("int8", int8), ("weights", weights), ("resume", resume)):
        check_choice(name, value, (True, False))
    settings = settings_of(FineTuneOptions, "fine_tune", {**(_FEW if contrastive else {}), **options})
    if pairs is not None:
        check_integer("pairs", pairs, low=1)
        if not contrastive:
            raise InvalidParameterError("pairs are drawn with contrastive=True alone. Leave pairs out.")
    target = Path(out)
    check_folder(target, force=force)
    layout = read_layout(source)
    layout.length(settings.max_length)
    texts = check_texts(texts)
    said: dict[str, Any] = {
        "data_sha256": _digest(texts, labels, sample_weight),
        "base_sha256": digest_of_weights(layout.transformer),
        "contrastive": contrastive,
        "pairs": pairs,
        "columns": dict(columns or {}),
        "resumed_at_step": None,
    }
    key = {
        "data": said["data_sha256"],
        "dev": None if dev is None else _digest(check_texts(dev[0]), dev[1], None),
        "classes": repr(classes),
        "multilabel": repr(multilabel),
        "contrastive": contrastive,
        "pairs": pairs,
        "options": settings.to_json(),
        "source": said["base_sha256"],
    }
    run = open_run(
        target, key, settings, force=force, resume=resume, checkpoints=checkpoints, seconds=checkpoint_seconds
    )
    with run as (made, states):
        shared: dict[str, Any] = {
            "dev": dev, "classes": classes, "on_progress": on_progress, "prepare": states.restore,
            "on_step": states.save,
        }  # fmt: skip
        if contrastive:
            if multilabel or sample_weight is not None:
                raise InvalidParameterError("contrastive takes hard labels without weights; leave it out for these.")
            trained = train_few(Path(source), texts, labels, settings, pairs=pairs, **shared)
        else:
            trained = train_encoder(
                Path(source), texts, labels, settings, multilabel=multilabel, sample_weight=sample_weight,
                on_frozen=on_frozen, **shared,
            )  # fmt: skip
        said["resumed_at_step"] = states.resumed
        return write_result(
            layout, made, target, trained, settings, texts=texts, dev=dev, int8=int8, weights=weights, said=said
        )


def settings_of(kind: type[Options], function: str, options: Mapping[str, Any]) -> Options:
    """The options of a function, checked.

    Raises
    ------
    InvalidParameterError
        Where a name is none, or a value is outside its domain.
    """
    known = {field.name for field in fields(kind)}
    for name in options:
        if name not in known:
            raise InvalidParameterError(f"{name} is no option of {function}; there are {', '.join(sorted(known))}.")
    return kind(**options)


@contextmanager
def open_run(
    target: Path,
    key: Mapping[str, Any],
    settings: FineTuneOptions,
    *,
    force: bool,
    resume: bool,
    checkpoints: str | os.PathLike[str] | None,
    seconds: float,
) -> Iterator[tuple[Path, Checkpoints]]:
    """The hidden folder of a run, and the states that it keeps, which are forgotten when the folder has its place.

    Parameters
    ----------
    target : Path
        Where the folder goes when the block ends well.
    key, resume, seconds
        As for :class:`~tlclassic.finetune.checkpoints.Checkpoints`.
    settings : FineTuneOptions
    force, checkpoints
        As for :func:`fine_tune`.
    """
    own = target.absolute()
    path = own.with_name(f".{own.name}.checkpoint") if checkpoints is None else Path(checkpoints)
    states = Checkpoints(path, key, seconds=seconds, resume=resume)
    with new_folder(target, force=force) as made, cpu_threads(settings.threads or available_cpus()):
        yield made, states
    states.remove()


def _digest(texts: Sequence[str], labels: Any, weights: Any) -> str:
    """SHA-256 (hex) of texts, labels and weights."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little") + raw)
    several = labels if isinstance(labels, Mapping) else {"": labels}
    for name, values in [*several.items(), ("weights", weights)]:
        digest.update(repr(name).encode())
        if values is None:
            continue
        array = np.asarray(values, dtype=object if isinstance(values, list) and None in values else None)
        digest.update(repr((array.shape, array.tolist())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def digest_of_weights(source: Path) -> str:
    """SHA-256 (hex) of an encoder's weights, settings and tokenizer."""
    digest = hashlib.sha256()
    for path in sorted([*source.glob("*.safetensors"), source / "config.json", source / "tokenizer.json"]):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
