"""An evaluation as one self-contained HTML page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tlclassic.evaluation.counting import ClassScores
from tlclassic.evaluation.names import name_of, worst_first
from tlclassic.evaluation.plots import confusion_map, reliability_diagram, score_bar
from tlclassic.evaluation.style import tile_row, write_html

if TYPE_CHECKING:
    from tlclassic.evaluation.evaluation import Evaluation

__all__ = ["write_page"]

#: A confusion map of more classes could not be read; the classes with the most errors are shown.
_MOST_CLASSES = 100


def write_page(evaluation: Evaluation, path: str | os.PathLike[str], *, title: str) -> None:
    """Write the page whole or not at all."""
    body = [_head(evaluation, title), _confusion(evaluation), _calibration(evaluation), _classes(evaluation)]
    write_html(path, title, body)


def _head(evaluation: Evaluation, title: str) -> str:
    low, high = evaluation.accuracy_interval
    name = "exact match" if evaluation.multilabel else "accuracy"
    tiles = [
        (f"{evaluation.accuracy:.4f}", name, f"95 % interval {low:.4f} to {high:.4f}"),
        (f"{evaluation.macro_f1:.4f}", "macro-F1", "all classes count the same"),
    ]
    if evaluation.multilabel:
        tiles.append((f"{evaluation.micro_f1:.4f}", "micro-F1", "all decisions count the same"))
        tiles.append((f"{evaluation.hamming_loss:.4f}", "Hamming loss", "share of wrong decisions"))
    else:
        tiles.append((f"{evaluation.weighted_f1:.4f}", "weighted F1", "classes count by their texts"))
    if evaluation.probabilities is not None:
        measures = evaluation.probabilities
        tiles.append((f"{measures.log_loss:.4f}", "log-loss", "0 is best"))
        tiles.append((f"{measures.brier:.4f}", "Brier score", "0 is best"))
        tiles.append((f"{measures.expected_calibration_error:.4f}", "calibration error", "0 is best"))
    kind = "labels" if evaluation.multilabel else "classes"
    told = f"{evaluation.n:,} texts, {len(evaluation.classes):,} {kind}."
    if evaluation.unseen_classes:
        told += f" Unknown to the model: {', '.join(map(name_of, evaluation.unseen_classes))}."
    return f"<h1>{escape(title)}</h1>\n<p>{escape(told)}</p>\n{tile_row(tiles)}"


def _confusion(evaluation: Evaluation) -> str:
    if evaluation.confusion is None:
        return ""
    kept, told = _most_confused(evaluation.confusion)
    told += (
        "Each row is a true class. Blue: found. Orange: taken for another class. The stronger, the larger the share "
        "of the row. Pointing at a cell tells its count."
    )
    confusion, support = evaluation.confusion[np.ix_(kept, kept)], evaluation.confusion.sum(axis=1)[kept]
    drawn = confusion_map(confusion, [evaluation.classes[place] for place in kept], support)
    return f'<section><h2>Confusion matrix</h2><p>{escape(told)}</p><div class="scroll">{drawn}</div></section>'


def _most_confused(confusion: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], str]:
    """Places of the classes to show, and what to say when these are not all."""
    if len(confusion) <= _MOST_CLASSES:
        return np.arange(len(confusion)), ""
    wrong = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diagonal(confusion)
    kept = np.sort(np.argsort(-wrong, kind="stable")[:_MOST_CLASSES])
    return kept, f"The {_MOST_CLASSES} of {len(confusion):,} classes with the most errors. "


def _calibration(evaluation: Evaluation) -> str:
    if evaluation.probabilities is None:
        return ""
    told = (
        "Bars on the dashed line say that stated probabilities can be believed; below it the model is too sure, above "
        "it not sure enough. A dot marks the mean probability of its bar; the lower plot counts the answers."
    )
    drawn = reliability_diagram(evaluation.probabilities.bins)
    return f"<section><h2>Reliability</h2><p>{escape(told)}</p>{drawn}</section>"


def _classes(evaluation: Evaluation) -> str:
    scores = sorted(evaluation.per_class, key=worst_first)
    rows = "".join(_class_row(score) for score in scores)
    head = (
        "<tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th></th><th>texts</th><th>predicted</th></tr>"
    )
    return (
        '<section class="long"><h2>Classes, worst first</h2><div class="scroll"><table class="scores">'
        f"<thead>{head}</thead><tbody>{rows}</tbody></table></div></section>"
    )


def _class_row(score: ClassScores) -> str:
    numbers = f"<td>{score.precision:.4f}</td><td>{score.recall:.4f}</td><td>{score.f1:.4f}</td>"
    counts = f"<td>{score.support:,}</td><td>{score.predicted:,}</td>"
    return f"<tr><td>{escape(name_of(score.label))}</td>{numbers}<td>{score_bar(score.f1)}</td>{counts}</tr>"
