"""What a cascade of a distilled student and its teacher keeps of the teacher, and how much faster it is.

Teacher and student are those of ``bench_distill.py`` (seed 0); the threshold is set on dev: the fewest texts passed on
that leave 99.5 % of the teacher's accuracy there. "promise": over 200 random halves of dev and test together, how often
the agreement that was asked for on one half, for so many later texts as the other has, holds there.

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
AGREEMENTS, CONFIDENCE, SPLITS = (0.95, 0.98, 0.99), 0.95, 200
#: Texts whose time is taken.
TIMED = 512


def proba_of(name: str, texts: list[str]) -> Any:
    """The teacher's probabilities."""
    return soft_labels(teacher_of(name), texts, cache=SCRATCH / "soft-labels").astype(np.float64)


def cascade_row(name: str, results: Results) -> None:
    """Accuracy, share passed on and speed on test."""
    if (key := f"{name} cascade") in results:
        return
    data, classes, multilabel = parts(name)
    student = tlclassic.load(SCRATCH / "students" / f"{name}-0.tlc")
    teacher = EncoderClassifier(str(folder(name)), file="int8", threads=1)
    cascade = tlclassic.Cascade(student, teacher)
    (dev, dev_truth), (test, truth) = data["dev"], data["test"]
    dev_proba = proba_of(name, dev)

    def score(model: Any, texts: list[str], labels: Any) -> float:
        return measured(model.predict(texts), labels, multilabel, classes)

    wanted = KEPT * score(teacher, dev, dev_truth)
    for share in SHARES:
        cascade.tune(dev, teacher_proba=dev_proba, share=share)
        if score(cascade, dev, dev_truth) >= wanted:
            break
    teacher_test, answers = score(teacher, test, truth), cascade.answer(test)
    kept = measured(answers.labels, truth, multilabel, classes)
    few = test[:: max(1, len(test) // TIMED)][:TIMED]
    times = interleaved({"teacher": lambda: teacher.predict(few), "cascade": lambda: cascade.predict(few)}, repeats=5)
    rates = {who: round(len(few) / times[who]["median"], 1) for who in times}
    passed_on = float(cascade.answer(few).passed_on.mean())
    row = {
        "set": name,
        "dev_share": share,
        "test_teacher": teacher_test,
        "test_cascade": kept,
        "kept": round(100 * kept / teacher_test, 2),
        "test_share": round(float(answers.passed_on.mean()), 4),
        "timed_share": round(passed_on, 4),
        "texts_per_second": rates,
        "faster": round(rates["cascade"] / rates["teacher"], 1),
    }
    results.add(key, row)


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
            cascade_row(name, results)
            promise(name, results)


if __name__ == "__main__":
    main(sys.argv[1:])
