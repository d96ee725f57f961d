"""Models with a transformer encoder: frozen, fine-tuned, and run by torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tlclassic._compat import available_cpus
from tlclassic.comparison.budget import Deadline
from tlclassic.comparison.fitting import Fitted, LeftOut, Work
from tlclassic.comparison.linear import fit_logistic, logistic_head
from tlclassic.encoders.files import open_files
from tlclassic.encoders.folder import choose_graph
from tlclassic.errors import EncoderFormatError
from tlclassic.heads.encoder_classifier import open_encoder_folder
from tlclassic.heads.encoder_heads import HEADS_FILE
from tlclassic.pipelines import save
from tlclassic.pipelines.training import FeatureOptions, build_features

__all__ = ["finetuned", "frozen", "torch"]

#: What is trained, and how often a text then costs a pass of the encoder forwards: three times for a step, once for
#: frozen layers. The first that fits into the time is taken.
_PLANS: tuple[tuple[str, float, float], ...] = (("all", 3.0, 0.0), ("top-2", 1.0, 1.0), ("head", 0.02, 1.0))
#: Export, parity and quantising.
_EXPORT_SECONDS = 30.0
#: Steps of 32 texts that fine-tuning should have, and how many passes it has at least and at most.
_STEPS, _EPOCHS = 600, (3, 20)


def frozen(work: Work) -> list[Fitted]:
    """The encoder as it is, logistic regression."""
    # What was encoded by a killed run is not encoded again.
    features = build_features(
        FeatureOptions(features=[f"encoder:{work.settings.encoder}"], encoder={"cache": work.cache / "vectors"})
    )
    encoder = features.named_steps["encode"]
    n = len(work.problem.train.texts) + len(work.problem.dev.texts)
    rate = work.rate(encoder.transform, work.problem.train.texts)
    work.deadline.need(n / rate, f"encoding {n:,} texts")
    encoder.set_params(progress=lambda done, total: work.watch("encoding", done, total))
    model, chosen = fit_logistic(features, work.problem, work.deadline)
    encoder.set_params(progress=None, cache=None)
    path = work.folder / "frozen.tlc"
    save(model, path, metadata={"task": work.task})
    return [Fitted("frozen", work.saved("tlclassic", path, threads=True), {**chosen, "graph": encoder.spec.graph})]


# -- fine-tuned ------------------------------------------------------------------------------------------------------


def finetuned(work: Work) -> list[Fitted]:
    """A fine-tuned encoder, its graph in fp32 and in int8; the folder that was given, or one that is trained here."""
    if work.settings.finetuned is not None:
        return _variants(work, work.settings.finetuned, {}, trained=False)
    from tlclassic.finetune import fine_tune
    from tlclassic.finetune.peer import TorchPeer

    assert work.settings.encoder is not None
    problem = work.problem
    n = len(problem.train.texts)
    work.tell("timing the encoder")
    options = _plan(n, work.rate(TorchPeer(work.settings.encoder).transform, problem.train.texts), work.deadline)
    work.tell(f"training {options['train']}, {options['epochs']:g} epochs")
    tuned = fine_tune(
        work.settings.encoder,
        problem.train.texts,
        problem.train.pair[1],
        work.folder / "finetuned",
        dev=problem.dev.pair,
        classes=problem.classes,
        multilabel=problem.multilabel,
        weights=True,
        force=True,
        checkpoints=work.cache / "finetuned.checkpoint",
        columns=work.settings.columns,
        on_progress=lambda done, total: work.watch("steps", done, total),
        on_frozen=lambda done, total: work.watch("frozen layers", done, total),
        seed=work.settings.seed,
        **options,
    )
    best = tuned.best or {}
    score = best.get("dev_macro_f1" if problem.multilabel else "dev_accuracy")
    return _variants(work, tuned.path, {**options, "dev_score": score}, trained=True)


def _plan(n: int, rate: float, deadline: Deadline) -> dict[str, Any]:
    """How much is trained: the most that the share of the time allows, the least that the limit does."""
    epochs = min(_EPOCHS[1], max(_EPOCHS[0], math.ceil(_STEPS * 32 / n)))
    costs = {train: n / rate * (each * epochs + once) + _EXPORT_SECONDS for train, each, once in _PLANS}
    chosen = next((train for train in costs if costs[train] <= deadline.share_left), _PLANS[-1][0])
    if costs[chosen] > deadline.share_left:
        deadline.need(costs[chosen], f"fine-tuning on {n:,} texts")
    # Rates that won on the development parts of nine public sets (docs/benchmarks.md).
    rates = {"learning_rate": 1e-4} if chosen != "head" else {}
    return {"train": chosen, "epochs": float(epochs if chosen != "head" else _EPOCHS[1]), **rates}


def _variants(work: Work, folder: Path, chosen: dict[str, Any], *, trained: bool) -> list[Fitted]:
    """A row for each graph in the folder; the one that the folder prefers is marked, to be the teacher."""
    model = open_encoder_folder(folder)
    names = model.classes_.tolist()
    if model.multilabel_ != work.problem.multilabel or set(names) != set(work.problem.classes):
        raise LeftOut(f"{folder} was trained for other classes than those of the training texts")
    files = open_files(str(folder))
    preferred = choose_graph(files, "auto")
    found = []
    for file in ("fp32", "int8"):
        try:
            graph = choose_graph(files, file)
        except EncoderFormatError:
            continue
        saved = work.saved("encoder", Path(folder).absolute(), file=file, graphs=[graph], preferred=graph == preferred)
        row = Fitted(f"finetuned-{file}", saved, chosen, [], trained=trained and file == "fp32")
        found.append(_with_classes(row, names))
    return found


def _with_classes(row: Fitted, names: list[Any]) -> Fitted:
    """The model's own order of classes is that of its columns."""
    return replace(row, saved=replace(row.saved, classes=names))


# -- torch -----------------------------------------------------------------------------------------------------------


def torch(work: Work) -> list[Fitted]:
    """The same encoder through another implementation: the fine-tuned weights, else a head on the encoder's vectors."""
    from tlclassic.finetune.peer import TorchPeer

    for row in work.fitted.get("finetuned", ()):
        folder = Path(row.saved.path)
        if (folder / "model.safetensors").is_file() and (folder / HEADS_FILE).is_file():
            library = TorchPeer(folder).toolkit
            saved = work.saved("torch", folder, head=None)
            chosen = {"library": library, "weights": "fine-tuned"}
            return [_with_classes(Fitted("torch", saved, chosen, trained=False), row.saved.classes)]
    if work.settings.encoder is None:
        raise LeftOut("the fine-tuned folder holds no torch weights, and no --encoder was given")
    return [_torch_head(work, TorchPeer(work.settings.encoder, threads=available_cpus()))]


def _torch_head(work: Work, peer: Any) -> Fitted:
    problem = work.problem
    n = len(problem.train.texts) + len(problem.dev.texts)
    work.deadline.need(n / work.rate(peer.transform, problem.train.texts), f"encoding {n:,} texts")
    work.tell("encoding")
    scaler = StandardScaler()
    X = scaler.fit_transform(_in_parts(peer.transform, problem.train.texts, work.deadline))
    D = scaler.transform(_in_parts(peer.transform, problem.dev.texts, work.deadline))
    head, chosen = logistic_head(X, D, problem, work.deadline)
    path = work.folder / "torch-head.tlc"
    save(Pipeline([("scale", scaler), ("head", head)]), path, metadata={"task": work.task})
    assert work.settings.encoder is not None
    saved = work.saved("torch", work.settings.encoder.absolute(), head=str(path))
    return Fitted("torch", saved, {**chosen, "library": peer.toolkit, "weights": "as they were given"})


def _in_parts(encode: Callable[[list[str]], Any], texts: list[str], deadline: Deadline) -> Any:
    parts = []
    for start in range(0, len(texts), 1024):
        deadline.check()
        parts.append(encode(texts[start : start + 1024]))
    return np.concatenate(parts)
