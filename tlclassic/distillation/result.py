"""What a distillation gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.distillation.known_answers import KnownAnswers
from tlclassic.distillation.searching import Pool, Trial
from tlclassic.distillation.students import Maker
from tlclassic.distillation.teachers import ProbabilityTeacher
from tlclassic.errors import InvalidParameterError
from tlclassic.tuning.scoring import score_proba

__all__ = ["Distilled"]

#: Bytes that :meth:`Distilled.size_curve` compiles to.
SIZES = (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000)


@dataclass(frozen=True, eq=False)
class Distilled:
    """A student, compiled, and how it came about.

    Attributes
    ----------
    student : NgramClassifier, or ThresholdClassifier of one for several labels a text
    compiled : CompiledClassifier
    teacher : ProbabilityTeacher or KnownAnswers
    best : Trial
        The chosen recipe and its score on dev.
    trials : list of Trial
    pool : Pool
        The texts with the teacher's probabilities.
    teacher_dev : float32 array (n_dev, C)
    metric : str
    maker : Maker
    seconds : float
    notes : list of str
        What a user should know.
    """

    student: Any
    compiled: Any
    teacher: ProbabilityTeacher | KnownAnswers
    best: Trial
    trials: list[Trial]
    pool: Pool
    teacher_dev: NDArray[np.float32]
    metric: str
    maker: Maker
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def teacher_score(self) -> float | None:
        """The teacher's own score on dev; None where its answers to those texts are not known."""
        pool = self.pool
        if np.isnan(self.teacher_dev).any():
            return None
        proba = pool.outputs(self.teacher_dev)
        wanted, loss = pool.judging(proba)
        return score_proba(wanted, proba, self.metric, loss, pool.multilabel)

    def undistilled(self) -> Any | None:
        """The same student compiled from the labelled texts alone: what the teacher is worth shows beside it."""
        fitted = self.maker.undistilled(self.best)
        return None if fitted is None else self.maker.compile(fitted, None, {"made_by": "tlclassic.distill"})

    def size_curve(self, sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
        """Size against accuracy and agreement on dev, of the same student compiled smaller.

        Returns
        -------
        list of dict
            With ``max_size``, ``bytes``, ``accuracy`` and ``agreement`` (with the student before quantising); sizes
            that nothing fits into are left out.
        """
        curve: list[dict[str, Any]] = []
        for size in sorted(sizes):
            try:
                compiled = self.maker.compile(self.student, size, {})
            except InvalidParameterError:
                continue
            last = compiled.metadata["report"]["steps"][-1]
            shown = {name: last[name] for name in ("accuracy", "macro_f1", "agreement") if name in last}
            curve.append({"max_size": size, "bytes": compiled.nbytes, **shown})
            if last["rows"] == self.compiled.metadata["report"]["steps"][-1]["rows"]:
                break
        return curve

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable: the choice, its dev scores, all trials."""
        return {
            "metric": self.metric,
            "teacher": {"name": self.teacher.name, "digest": self.teacher.digest, "dev_score": self.teacher_score},
            "classes": self.pool.classes.tolist(),
            "multilabel": self.pool.multilabel,
            "texts": self.pool.counts(),
            "best": self.best.as_dict(),
            "n_trials": len(self.trials),
            "trials": [trial.as_dict() for trial in self.trials],
            "seconds": round(self.seconds, 2),
            "notes": list(self.notes),
        }
