"""The plots of an evaluation as inline SVG; colours are the page's CSS variables, so that they follow its mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tlclassic.evaluation.calibration import ReliabilityBin
from tlclassic.evaluation.drawing import CHARACTER, cut, label_at, line, rect, svg, text_at
from tlclassic.evaluation.names import displayed, name_of

__all__ = ["confusion_map", "reliability_diagram", "score_bar"]

_MAP_SIZE = 770
_NUMBERED = 30


def confusion_map(confusion: npt.NDArray[np.int64], classes: Sequence[Any], support: npt.NDArray[np.int64]) -> str:
    """Heat map with a row for each true class: blue where it was found, orange where it was taken for another.

    Parameters
    ----------
    confusion : int64 array (classes, classes)
    classes : sequence (classes,)
    support : int64 array (classes,)
        Texts of each true class; more than its row's sum where the map leaves classes out.
    """
    k = len(classes)
    cell = min(52.0, max(7.0, _MAP_SIZE / k))
    font = min(12.0, max(7.0, cell * 0.85))
    gutter = 30 + font * CHARACTER * max(displayed(cut(label)) for label in classes)
    top = gutter
    size = cell * k
    parts = [rect(gutter, top, size, size, "plain")]
    parts += _grid(k, cell, gutter, top) if k <= _NUMBERED else []
    parts += _cells(confusion, classes, support, cell, gutter, top)
    for place, label in enumerate(classes):
        middle = (place + 0.5) * cell
        parts.append(label_at(gutter - 6, top + middle + font * 0.35, font, label, anchor="end"))
        parts.append(label_at(gutter + middle + font * 0.35, top - 6, font, label, anchor="start", turned=True))
    parts.append(text_at(gutter + size / 2, 12, 12, "predicted", kind="axis", anchor="middle"))
    parts.append(text_at(12, top + size / 2, 12, "true class", kind="axis", anchor="middle", turned=True))
    name = "Confusion matrix: rows are the true classes, columns the predicted ones"
    width = gutter + size + 12
    # A map of many classes keeps its size and scrolls: shrunk to a narrow window its labels could not be read.
    return svg(width, top + size + 8, name, parts, least=width)


def _grid(k: int, cell: float, left: float, top: float) -> list[str]:
    size = cell * k
    return [
        edge
        for place in range(k + 1)
        for edge in (
            line(left + place * cell, top, left + place * cell, top + size, "grid"),
            line(left, top + place * cell, left + size, top + place * cell, "grid"),
        )
    ]


def _cells(
    confusion: npt.NDArray[np.int64],
    classes: Sequence[Any],
    totals: npt.NDArray[np.int64],
    cell: float,
    left: float,
    top: float,
) -> list[str]:
    parts = []
    for i, j in zip(*confusion.nonzero(), strict=True):
        count, share = int(confusion[i, j]), float(confusion[i, j] / totals[i])
        kind = "right" if i == j else "wrong"
        # The square root keeps rare confusions visible.
        strength = 0.12 + 0.88 * share**0.5
        names = name_of(classes[i]), name_of(classes[j])
        told = f"{names[0]} found: " if i == j else f"{names[0]} taken for {names[1]}: "
        told += f"{count:,} ({share:.1%} of {int(totals[i]):,})"
        x, y = left + float(j) * cell, top + float(i) * cell
        parts.append(rect(x, y, cell, cell, kind, opacity=strength, title=told))
        if len(classes) <= _NUMBERED:
            font = min(13.0, cell * 0.42, cell * 1.35 / len(str(count)))
            on = "on" if strength > 0.7 else "off"
            parts.append(text_at(x + cell / 2, y + cell / 2 + font * 0.35, font, str(count), kind=on, anchor="middle"))
    return parts


def reliability_diagram(bins: Sequence[ReliabilityBin], *, share: str = "right") -> str:
    """Share of right answers against the stated probability, and how many texts each bin holds.

    ``share`` says what the answers of a bin are counted for.
    """
    most = max(bin.count for bin in bins)
    # Room for the name of the axis and the largest count beside it.
    left = 32 + 11 * CHARACTER * max(4, len(f"{most:,}"))
    top, size, low, high = 16.0, 320.0, 376.0, 70.0
    parts = [rect(left, top, size, size, "plain")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + tick * size, top + (1 - tick) * size
        parts.append(line(left - 4, y, left, y, "tick"))
        parts.append(text_at(left - 8, y + 4, 11, f"{tick:.2f}", anchor="end"))
        parts.append(line(x, low + high, x, low + high + 4, "tick"))
        parts.append(text_at(x, low + high + 17, 11, f"{tick:.2f}", anchor="middle"))
    points = []
    for bin in bins:
        if not bin.count:
            continue
        x, width = left + bin.low * size + 1, (bin.high - bin.low) * size - 2
        told = (
            f"probability {bin.low:.2f} to {bin.high:.2f}: {bin.count:,} answers, "
            f"mean probability {bin.confidence:.3f}, {bin.accuracy:.1%} {share}"
        )
        height = bin.accuracy * size
        parts.append(rect(x, top + size - height, width, height, "right", opacity=0.75, title=told))
        tall = max(1.0, high * bin.count / most)
        parts.append(rect(x, low + high - tall, width, tall, "count", title=told))
        x = left + bin.confidence * size
        points.append(f'<circle cx="{x:.1f}" cy="{top + size - height:.1f}" r="3.5" class="point"/>')
    # Over the bars, under the points.
    parts.append(line(left, top + size, left + size, top, "ideal"))
    parts += points
    parts.append(line(left, low + high, left + size, low + high, "tick"))
    parts.append(text_at(14, top + size / 2, 12, f"share that is {share}", kind="axis", anchor="middle", turned=True))
    parts.append(text_at(14, low + high / 2, 12, "answers", kind="axis", anchor="middle", turned=True))
    parts.append(text_at(left - 8, low + 10, 11, f"{most:,}", anchor="end"))
    parts.append(text_at(left + size / 2, low + high + 36, 12, "stated probability", kind="axis", anchor="middle"))
    return svg(left + size + 20, low + high + 46, "Reliability diagram", parts)


def score_bar(value: float, *, mark: float | None = None) -> str:
    """A bar for a value between 0 and 1, with a tick at another value to compare it with."""
    parts = [rect(0, 2, 160, 10, "plain"), rect(0, 2, 160 * value, 10, "right", opacity=0.85)]
    if mark is not None:
        parts.append(rect(min(158.0, max(0.0, 160 * mark - 1)), 0, 2, 14, "mark"))
    return f'<svg class="bar" width="160" height="14" aria-hidden="true">{"".join(parts)}</svg>'
