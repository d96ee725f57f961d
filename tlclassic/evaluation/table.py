"""An evaluation as a table of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tlclassic.evaluation.counting import ClassScores
from tlclassic.evaluation.names import displayed, shortened, worst_first

if TYPE_CHECKING:
    from tlclassic.evaluation.evaluation import Evaluation

__all__ = ["evaluation_table"]

#: With more classes than this only the worst are shown.
_SHOWN_CLASSES = 20
_SHOWN_CONFUSIONS = 5
_LABEL_WIDTH = 40


def evaluation_table(evaluation: Evaluation) -> str:
    """The measures, the scores per class (the worst when there are many), the most frequent confusions."""
    return "\n\n".join(part for part in (_summary(evaluation), _classes(evaluation), _confusions(evaluation)) if part)


def _summary(evaluation: Evaluation) -> str:
    low, high = evaluation.accuracy_interval
    exact = "exact match" if evaluation.multilabel else "accuracy"
    rows = [
        ("texts", f"{evaluation.n:,}"),
        (exact, f"{evaluation.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f})"),
        ("macro-F1", f"{evaluation.macro_f1:.4f}"),
    ]
    if evaluation.multilabel:
        rows += [("micro-F1", f"{evaluation.micro_f1:.4f}"), ("Hamming loss", f"{evaluation.hamming_loss:.4f}")]
    else:
        rows.append(("weighted F1", f"{evaluation.weighted_f1:.4f}"))
    if evaluation.probabilities is not None:
        measures = evaluation.probabilities
        rows += [
            ("log-loss", f"{measures.log_loss:.4f}"),
            ("Brier score", f"{measures.brier:.4f}"),
            ("calibration error", f"{measures.expected_calibration_error:.4f}"),
        ]
    if evaluation.unseen_classes:
        rows.append(("unknown to the model", _listed(evaluation.unseen_classes)))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _classes(evaluation: Evaluation) -> str:
    scores = [score for score in evaluation.per_class if score.support or score.predicted]
    heading = ""
    if len(scores) > _SHOWN_CLASSES:
        heading = f"The {_SHOWN_CLASSES} worst of {len(scores)} classes by F1\n"
        scores = sorted(scores, key=worst_first)[:_SHOWN_CLASSES]
    width = max([displayed(_cut(score.label)) for score in scores] + [len("class")])
    texts = max([len(f"{score.support:,}") for score in scores] + [len("texts")])
    title = f"{'class':<{width}}  precision  recall      F1  {'texts':>{texts}}"
    return heading + "\n".join([title, *(_class_row(score, width, texts) for score in scores)])


def _class_row(score: ClassScores, width: int, texts: int) -> str:
    label = _cut(score.label)
    label += " " * (width - displayed(label))
    return f"{label}  {score.precision:>9.4f}  {score.recall:.4f}  {score.f1:.4f}  {score.support:>{texts},}"


def _confusions(evaluation: Evaluation) -> str:
    if evaluation.confusion is None:
        return ""
    names = evaluation.classes
    pairs = [
        (int(evaluation.confusion[i, j]), names[i], names[j])
        for i, j in zip(*evaluation.confusion.nonzero(), strict=True)
        if i != j
    ]
    if not pairs:
        return ""
    pairs.sort(key=lambda pair: -pair[0])
    shown = [f"{count:>7,}  {_cut(true)} taken for {_cut(told)}" for count, true, told in pairs[:_SHOWN_CONFUSIONS]]
    return "\n".join(["Most frequent confusions", *shown])


def _listed(labels: Sequence[Any]) -> str:
    listed = ", ".join(map(_cut, labels[:_SHOWN_CLASSES]))
    return f"{listed} and {len(labels) - _SHOWN_CLASSES:,} more" if len(labels) > _SHOWN_CLASSES else listed


def _cut(label: Any) -> str:
    return shortened(label, _LABEL_WIDTH)
