"""Accuracy against throughput: which models no other beats in both, drawn as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from tlclassic.evaluation.drawing import CHARACTER, cut, line, rect, svg, text_at
from tlclassic.evaluation.names import displayed, name_of

__all__ = ["PARETO_STYLE", "ParetoPoint", "frontier", "pareto_plot"]

#: What a page with the plot needs beside the style of all pages.
PARETO_STYLE = """
.frontier { fill: none; stroke: var(--right); stroke-width: 1.5; stroke-dasharray: 6 3; }
.ours { fill: var(--right); stroke: var(--card); stroke-width: 1.5; }
.rival { fill: var(--card); stroke: var(--wrong); stroke-width: 2.5; }
.whisker { stroke: var(--soft); stroke-width: 1.2; } .leader { stroke: var(--soft); stroke-width: 0.8; }
"""
_WIDTH, _HEIGHT = 760.0, 420.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 62.0, 16.0, 20.0, 52.0
_FONT = 12.0
_MARK = 6.0
#: What a label may stand off its mark, in pixels; from the second on a line leads there.
_DISTANCES = (0.0, 22.0, 44.0, 70.0, 100.0, 140.0)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ParetoPoint:
    """A model in the plot.

    Attributes
    ----------
    name : str
    accuracy : float
        From 0 to 1.
    texts_per_second : float
    is_ours : bool
        Drawn filled; the others hollow.
    interval : (float, float) or None
        Of the accuracy; a whisker.
    bytes : int or None
        Told when the mark is pointed at.
    """

    name: str
    accuracy: float
    texts_per_second: float
    is_ours: bool = False
    interval: tuple[float, float] | None = None
    bytes: int | None = None


def frontier(points: Sequence[ParetoPoint]) -> list[int]:
    """Places of the points that no other beats: none is as good in both and better in one; from slow to fast."""
    order = sorted(range(len(points)), key=lambda i: (-points[i].texts_per_second, -points[i].accuracy))
    kept: list[int] = []
    for i in order:
        best = points[kept[-1]] if kept else None
        same = best is not None and (best.texts_per_second, best.accuracy) == (
            points[i].texts_per_second,
            points[i].accuracy,
        )
        if best is None or points[i].accuracy > best.accuracy or same:
            kept.append(i)
    return kept[::-1]


def pareto_plot(points: Sequence[ParetoPoint], *, measure: str = "accuracy") -> str:
    """Accuracy over texts a second (a logarithmic axis), with the frontier; labels do not cover each other.

    Parameters
    ----------
    points : sequence of ParetoPoint
        At least one; each with a positive speed.
    measure : str
        Name of the vertical axis.
    """
    scale = _Scale(points)
    parts = [rect(_LEFT, _TOP, scale.width, scale.height, "plain"), *_axes(scale, measure), *_steps(points, scale)]
    marks = [(scale.x(point.texts_per_second), scale.y(point.accuracy)) for point in points]
    boxes = [(x - _MARK - 1, y - _MARK - 1, x + _MARK + 1, y + _MARK + 1) for x, y in marks]
    boxes += [_whisker_box(point, scale) for point in points if point.interval] + _step_boxes(points, scale)
    labels = _arranged(points, marks, boxes)
    parts += [_whisker(point, scale) for point in points if point.interval]
    parts += labels
    parts += [_mark(point, x, y) for point, (x, y) in zip(points, marks, strict=True)]
    return svg(_WIDTH, _HEIGHT, f"{measure} against texts a second", parts, least=560)


class _Scale:
    """From values to pixels."""

    def __init__(self, points: Sequence[ParetoPoint]) -> None:
        self.width, self.height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        speeds = [math.log10(point.texts_per_second) for point in points]
        self.slow, self.fast = math.floor(min(speeds) - 0.15), math.ceil(max(speeds) + 0.15)
        ends = [end for point in points for end in (point.accuracy, *(point.interval or ()))]
        low, high = min(ends), max(ends)
        self.step = _round_step(max(high - low, 0.02) / 5)
        # Half a step of air, so that no mark lies on the frame.
        self.low: float = max(0.0, math.floor((low - self.step / 2) / self.step) * self.step)
        self.high: float = max(math.ceil((high + self.step / 4) / self.step) * self.step, self.low + self.step)

    def x(self, texts_per_second: float) -> float:
        """Pixels from the left."""
        return _LEFT + self.width * (math.log10(texts_per_second) - self.slow) / (self.fast - self.slow)

    def y(self, accuracy: float) -> float:
        """Pixels from the top."""
        return _TOP + self.height * (self.high - accuracy) / (self.high - self.low)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below ``least``."""
    power = math.pow(10.0, math.floor(math.log10(least)))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))


def _axes(scale: _Scale, measure: str) -> list[str]:
    parts = []
    bottom = _TOP + scale.height
    for power in range(scale.slow, scale.fast + 1):
        x = scale.x(10.0**power)
        parts += [line(x, _TOP, x, bottom, "grid"), line(x, bottom, x, bottom + 4, "tick")]
        parts.append(text_at(x, bottom + 18, 11, _power(power), anchor="middle"))
    digits = max(0, -math.floor(math.log10(scale.step * 100) + 1e-9))
    for number in range(round((scale.high - scale.low) / scale.step) + 1):
        value = scale.low + number * scale.step
        y = scale.y(value)
        parts += [line(_LEFT, y, _LEFT + scale.width, y, "grid"), line(_LEFT - 4, y, _LEFT, y, "tick")]
        parts.append(text_at(_LEFT - 8, y + 4, 11, f"{100 * value:.{digits}f} %", anchor="end"))
    middle = _TOP + scale.height / 2
    parts.append(text_at(12, middle, 12, measure, kind="axis", anchor="middle", turned=True))
    label = "texts a second, one thread (faster to the right)"
    parts.append(text_at(_LEFT + scale.width / 2, bottom + 40, 12, label, kind="axis", anchor="middle"))
    return parts


def _power(power: int) -> str:
    if power < 0:
        return f"{10.0**power:g}"
    return f"{10 ** (power % 3)}{' ' if power >= 3 else ''}{('', 'k', 'M', 'G')[power // 3]}" if power < 12 else "∞"


def _steps(points: Sequence[ParetoPoint], scale: _Scale) -> list[str]:
    """What the frontier dominates is below and to the left of its steps."""
    best = [points[i] for i in frontier(points)]
    path = f"M{_LEFT:.1f} {scale.y(best[0].accuracy):.1f}"
    for point in best:
        path += f"V{scale.y(point.accuracy):.1f}H{scale.x(point.texts_per_second):.1f}"
    path += f"V{_TOP + scale.height:.1f}"
    return [f'<path d="{path}" class="frontier"><title>No model is both better and faster</title></path>']


def _step_boxes(points: Sequence[ParetoPoint], scale: _Scale) -> list[Box]:
    """Where the frontier's line runs."""
    found, x = [], _LEFT
    corners = [(scale.x(points[i].texts_per_second), scale.y(points[i].accuracy)) for i in frontier(points)]
    for (right, y), below in zip(corners, [y for _, y in corners[1:]] + [_TOP + scale.height], strict=True):
        found += [(x, y - 1, right, y + 1), (right - 1, y, right + 1, below)]
        x = right
    return found


def _whisker(point: ParetoPoint, scale: _Scale) -> str:
    low, high = point.interval or (point.accuracy, point.accuracy)
    x, top, bottom = scale.x(point.texts_per_second), scale.y(high), scale.y(low)
    ends = [line(x - 4, top, x + 4, top, "whisker"), line(x - 4, bottom, x + 4, bottom, "whisker")]
    return "".join([line(x, top, x, bottom, "whisker"), *ends])


def _whisker_box(point: ParetoPoint, scale: _Scale) -> Box:
    low, high = point.interval or (point.accuracy, point.accuracy)
    x = scale.x(point.texts_per_second)
    return x - 5, scale.y(high) - 1, x + 5, scale.y(low) + 1


def _mark(point: ParetoPoint, x: float, y: float) -> str:
    told = f"{name_of(point.name)}: {point.accuracy:.2%}, {point.texts_per_second:,.0f} texts/s"
    if point.bytes is not None:
        told += f", {point.bytes / 1e6:,.2f} MB"
    kind = "ours" if point.is_ours else "rival"
    # Of different shape as well: colours are lost on some eyes and printers.
    if point.is_ours:
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_MARK:.1f}" class="{kind}">'
    else:
        shape = (
            f'<path d="M{x:.1f} {y - _MARK:.1f}l{_MARK} {_MARK}l-{_MARK} {_MARK}l-{_MARK} -{_MARK}z" class="{kind}">'
        )
    return f"{shape}<title>{escape(told)}</title></{shape[1:].split(' ', 1)[0]}>"


def _arranged(points: Sequence[ParetoPoint], marks: Sequence[tuple[float, float]], taken: list[Box]) -> list[str]:
    """All labels; of several orders of placing them, ours always first, the one that covers least."""
    rest = range(len(points))
    keys: list[Callable[[int], float]] = [
        lambda i: i,
        lambda i: marks[i][0],
        lambda i: -marks[i][0],
        lambda i: marks[i][1],
        lambda i: -marks[i][1],
    ]
    best: tuple[float, list[str]] | None = None
    for key in keys:
        boxes, labels, total = list(taken), [], 0.0
        for i in sorted(rest, key=lambda i: (not points[i].is_ours, key(i))):
            covered, drawn, used = _placed(points[i], *marks[i], boxes)
            labels.append(drawn)
            boxes += used
            total += covered
        if best is None or total < best[0]:
            best = total, labels
        if not total:
            break
    return best[1] if best else []


def _placed(point: ParetoPoint, x: float, y: float, taken: list[Box]) -> tuple[float, str, list[Box]]:
    """The label in the first place where it covers nothing, or where it covers least; how much, and its own boxes."""
    name = cut(point.name)
    width = _FONT * CHARACTER * displayed(name)
    best: tuple[float, Box, float] | None = None
    for distance in _DISTANCES:
        for box in _around(x, y, width, distance):
            leader = _leader_boxes(x, y, box) if distance else []
            covered = sum(_overlap(part, other) for part in [box, *leader] for other in taken) + 10 * _outside(box)
            if best is None or covered < best[0]:
                best = covered, box, distance
        if best is not None and not best[0]:
            break
    assert best is not None
    covered, box, distance = best
    kind = "" if point.is_ours else "axis"
    drawn = text_at(box[0] + width / 2, box[3] - 3, _FONT, name, anchor="middle", kind=kind)
    if not distance:
        return covered, drawn, [box]
    return covered, line(x, y, *_nearest(x, y, box), "leader") + drawn, [box, *_leader_boxes(x, y, box)]


def _nearest(x: float, y: float, box: Box) -> tuple[float, float]:
    return min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])


def _leader_boxes(x: float, y: float, box: Box) -> list[Box]:
    """Small boxes along the line from a mark to its label, without the mark itself and the label's edge."""
    to_x, to_y = _nearest(x, y, box)
    length = math.hypot(to_x - x, to_y - y)
    places = [at / length for at in range(int(2 * _MARK), int(length) - 2, 4)]
    centres = [(x + share * (to_x - x), y + share * (to_y - y)) for share in places]
    return [(left - 1, top - 1, left + 1, top + 1) for left, top in centres]


def _around(x: float, y: float, width: float, distance: float) -> list[Box]:
    """Boxes of a label beside, over and under its mark, aslant, and with an end at it."""
    off, tall = _MARK + 4 + distance, _FONT + 3
    near = off * 0.75
    corners = [
        (x + off, y - tall / 2),
        (x - off - width, y - tall / 2),
        (x - width / 2, y - off - tall),
        (x - width / 2, y + off),
        (x + near, y - near - tall / 2),
        (x + near, y + near - tall / 2),
        (x - near - width, y - near - tall / 2),
        (x - near - width, y + near - tall / 2),
        (x - _MARK, y - off - tall),
        (x - _MARK, y + off),
        (x + _MARK - width, y - off - tall),
        (x + _MARK - width, y + off),
    ]
    return [(left, top, left + width, top + tall) for left, top in corners]


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return wide * tall if wide > 0 and tall > 0 else 0.0


def _outside(box: Box) -> float:
    """Area of the box that lies off the frame."""
    frame = (_LEFT + 2, _TOP + 2, _WIDTH - _RIGHT - 2, _HEIGHT - _BOTTOM - 2)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return area - _overlap(box, frame)
