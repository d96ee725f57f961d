"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["TuneResult"]


@dataclass(frozen=True, eq=False)
class TuneResult:
    """The outcome of :func:`tlclassic.tune`.

    Attributes
    ----------
    classifier : NgramClassifier, or ThresholdClassifier of one (multi-label)
        Fitted on all the training texts.
    compiled : CompiledClassifier
        The same, within ``max_size`` bytes.
    best : dict
        The winning trial, and of the compiled classifier ``compiled_score`` (on the held-out texts; None where it was
        not needed) and ``bytes``.
    trials : list of dict
        Every trial in order: ``params``, ``rung``, ``rows`` (trained on), ``splits``, ``score``, ``log_loss``,
        ``seconds``, ``path`` (pairs of C and score), ``bytes`` and ``compiled_score`` (both None but for finalists).
    metric : {"accuracy", "macro_f1"}
    scored_on : {"dev", "held-out", "folds"}
        What the scores come from.
    seconds : float
        Everything, the final fit included.
    notes : list of str
        What the budget did not allow.
    """

    classifier: Any
    compiled: Any
    best: dict[str, Any]
    trials: list[dict[str, Any]]
    metric: str
    scored_on: str
    seconds: float
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All but the models; JSON-serialisable."""
        return {
            "metric": self.metric,
            "scored_on": self.scored_on,
            "seconds": round(self.seconds, 3),
            "best": self.best,
            "trials": self.trials,
            "notes": self.notes,
        }
