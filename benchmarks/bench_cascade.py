"""What a cascade of a distilled student and its teacher keeps of the teacher, and how much faster it is.

Teacher and student are those of ``bench_distill.py`` (seed 0). The threshold is set on dev, in two ways: the fewest
texts passed on that leave 99.5 % of the teacher's accuracy there; and, for a given budget, the most texts passed on
with which the cascade still is so many times as fast as the teacher there, a tenth to spare. "promise": over 5,000
random halves of dev and test together, how often the agreement that was asked for on one half, for so many later texts
as the other has, holds there.

    python benchmarks/bench_cascade.py [SET ...]
"""

from __future__ import annotations

import os
import sys

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from typing import Any  # noqa: E402  (thread counts are read when the libraries are imported)

import numpy as np  # noqa: E402
from bench_distill import SETS, folder, measured, parts, teacher_of  # noqa: E402
from common import SCRATCH, Results  # noqa: E402

import tlclassic  # noqa: E402
from tlclassic.cascade.choosing import by_agreement  # noqa: E402
from tlclassic.distillation import soft_labels  # noqa: E402
from tlclassic.evaluation import interleaved  # noqa: E402
from tlclassic.heads.encoder_classifier import EncoderClassifier  # noqa: E402

KEPT = 0.995
SHARES = (*(round(0.01 * i, 2) for i in range(1, 31)), 0.35, 0.4, 0.5, 0.6, 0.8, 1.0)
AGREEMENTS, CONFIDENCE, SPLITS = (0.95, 0.98, 0.99), 0.95, 5_000
#: Times the teacher's speed, and by how much more than that on dev.
BUDGETS, SPARE = (5, 20), 1.1
#: Texts whose time is taken.
TIMED = 1024


def proba_of(name: str, texts: list[str]) -> Any:
    """The teacher's probabilities."""
    return soft_labels(teacher_of(name), texts, cache=SCRATCH / "soft-labels").astype(np.float64)


class Pair:
    """Student, teacher and the parts of a set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data, self.classes, self.multilabel = parts(name)
        self.teacher = EncoderClassifier(str(folder(name)), file="int8", threads=1)
        student = tlclassic.load(SCRATCH / "students" / f"{name}-0.tlc")
        # Of several labels a text macro F1 counts, not whether all agree.
        measure = "labels" if self.multilabel else "probability"
        self.cascade = tlclassic.Cascade(student, self.teacher, measure=measure)
        self.dev_proba = proba_of(name, self.data["dev"][0])
        self._of_teacher: dict[str, float] = {}

    def teacher_score(self, part: str) -> float:
        """Of the teacher alone, asked once."""
        if part not in self._of_teacher:
            self._of_teacher[part] = self.score(self.teacher, part)
        return self._of_teacher[part]

    def tune(self, share: float) -> None:
        """Pass on this share of dev."""
        self.cascade.tune(self.data["dev"][0], teacher_proba=self.dev_proba, share=share)

    def score(self, model: Any, part: str) -> float:
        """Accuracy or macro F1, in percent."""
        texts, truth = self.data[part]
        return measured(model.predict(texts), truth, self.multilabel, self.classes)

    def sample(self, part: str) -> list[str]:
        """Texts whose time is taken."""
        texts = self.data[part][0]
        return texts[:: max(1, len(texts) // TIMED)][:TIMED]

    def test_row(self, share: float) -> dict[str, Any]:
        """What the cascade does on test, which is read here alone."""
        teacher, answers = self.teacher_score("test"), self.cascade.answer(self.data["test"][0])
        kept = measured(answers.labels, self.data["test"][1], self.multilabel, self.classes)
        few = self.sample("test")
        timed = {"teacher": lambda: self.teacher.predict(few), "cascade": lambda: self.cascade.predict(few)}
        times = interleaved(timed, repeats=5)
        rates = {who: round(len(few) / times[who]["median"], 1) for who in times}
        return {
            "set": self.name,
            "dev_share": share,
            "test_teacher": teacher,
            "test_cascade": kept,
            "kept": round(100 * kept / teacher, 2),
            "test_share": round(float(answers.passed_on.mean()), 4),
            "timed_share": round(float(self.cascade.answer(few).passed_on.mean()), 4),
            "texts_per_second": rates,
            "faster": round(rates["cascade"] / rates["teacher"], 1),
        }


def cascade_row(both: Pair, results: Results) -> None:
    """The fewest texts passed on that leave 99.5 % of the teacher's accuracy on dev."""
    if (key := f"{both.name} cascade") in results:
        return
    wanted = KEPT * both.teacher_score("dev")
    for share in SHARES:
        both.tune(share)
        if both.score(both.cascade, "dev") >= wanted:
            break
    results.add(key, both.test_row(share))


def budget_row(both: Pair, faster: int, results: Results) -> None:
    """The most texts passed on with which the cascade is ``faster`` times as fast as the teacher on dev."""
    if (key := f"{both.name} budget {faster}") in results:
        return
    few = both.sample("dev")
    for share in (round(step / 200 / faster, 4) for step in range(200, 0, -5)):
        both.tune(share)
        timed = {"teacher": lambda: both.teacher.predict(few), "cascade": lambda: both.cascade.predict(few)}
        times = interleaved(timed, repeats=3)
        if times["teacher"]["median"] >= SPARE * faster * times["cascade"]["median"]:
            break
    results.add(key, {**both.test_row(share), "budget": faster})


def promise(name: str, results: Results) -> None:
    """How often an agreement that was promised is kept."""
    if (key := f"{name} promise") in results:
        return
    data, _, multilabel = parts(name)
    texts = data["dev"][0] + data["test"][0]
    student, teacher = (
        tlclassic.load(SCRATCH / "students" / f"{name}-0.tlc").predict_proba(texts),
        proba_of(name, texts),
    )
    if multilabel:
        surety, equal = np.abs(student - 0.5).min(axis=1) * 2, ((student > 0.5) == (teacher > 0.5)).all(axis=1)
    else:
        surety, equal = student.max(axis=1), student.argmax(axis=1) == teacher.argmax(axis=1)
    random, half = np.random.default_rng(0), len(texts) // 2
    found: dict[str, Any] = {"set": name, "texts_a_half": half, "splits": SPLITS, "confidence": CONFIDENCE}
    for agreement in AGREEMENTS:
        held, shares = 0, []
        for _ in range(SPLITS):
            order = random.permutation(len(texts))
            one, other = order[:half], order[half:]
            threshold = by_agreement(surety[one], equal[one], agreement, CONFIDENCE, len(other))
            asked = ~(surety[other] >= threshold)
            held += float((asked | equal[other]).mean()) >= agreement
            shares.append(float(asked.mean()))
        found[f"{agreement}"] = {"held": round(100 * held / SPLITS, 1), "passed_on": round(float(np.mean(shares)), 3)}
    results.add(key, found)


def main(names: list[str]) -> None:
    """All rows that are missing, of sets that have a student."""
    results = Results("cascade")
    for name in names or SETS:
        if (SCRATCH / "students" / f"{name}-0.tlc").exists():
            both = Pair(name)
            cascade_row(both, results)
            for faster in BUDGETS:
                budget_row(both, faster, results)
            promise(name, results)


if __name__ == "__main__":
    main(sys.argv[1:])
