"""Small models that learn from a large one, and both together."""

from __future__ import annotations

import math
import shutil
import warnings
from dataclasses import replace
from typing import Any

from tlclassic.cascade import Cascade
from tlclassic.comparison.fitting import Fitted, LeftOut, Work
from tlclassic.distillation import EFFORTS, distill, open_teacher
from tlclassic.distillation.material import to_make
from tlclassic.errors import TlclassicWarning
from tlclassic.heads.encoder_classifier import open_encoder_folder
from tlclassic.opening import load

__all__ = ["TEACHERS", "cascade", "distilled", "teacher_of"]

#: Whose answers a student learns, the first of them that there is.
TEACHERS = ("finetuned", "frozen", "base-en", "ngrams")
#: Efforts of `tlclassic.distill`, by the seconds that they are worth it from.
_EFFORTS = (("large", 3600.0), ("medium", 600.0), ("small", 0.0))
#: Share of the time that the teacher may be asked for.
_ASKING = 0.5


def teacher_of(fitted: Any) -> Fitted | None:
    """The row that teaches: of a fine-tuned encoder the graph that its folder prefers."""
    for name in TEACHERS:
        rows = fitted.get(name, ())
        for row in rows:
            if row.saved.options.get("preferred", True):
                return row  # type: ignore[no-any-return]
    return None


def _opened(row: Fitted) -> Any:
    """The teacher as a model."""
    if row.saved.kind == "encoder":
        return open_encoder_folder(row.saved.path, file=row.saved.options["file"])
    return load(row.saved.path)


def distilled(work: Work) -> list[Fitted]:
    """A student, compiled."""
    row = _teacher(work)
    several = row.saved.multilabel
    teacher = open_teacher(_opened(row), classes=row.saved.classes if several else None, multilabel=several)
    problem, deadline = work.problem, work.deadline
    known = len(problem.train.texts) + len(problem.dev.texts)
    rate = work.rate(teacher.probabilities, problem.train.texts)
    deadline.need(known / rate, f"asking the teacher for {known:,} texts")
    effort = next(name for name, seconds in _EFFORTS if deadline.share_left >= seconds)
    most = int(rate * deadline.share_left * _ASKING)
    room = max(0, most - known)
    transfer = work.problem.unlabelled[: min(room, EFFORTS[effort].transfer)]
    spent, n_train, may_make = EFFORTS[effort], len(problem.train.texts), room - len(transfer)
    missing, _ = to_make(n_train, len(transfer), spent.wanted(n_train), spent.own)
    work.tell(f"learning from {row.name}")
    result = distill(
        teacher,
        transfer,
        labelled=(problem.train.texts, problem.train.plain),
        dev=(problem.dev.texts, problem.dev.plain),
        effort=effort,
        max_size=work.settings.student_size,
        metric=problem.metric,
        max_made=may_make,
        cache=work.cache / "soft-labels",
        random_state=work.settings.seed,
        on_progress=lambda stage, done, total: work.watch(stage, done, total),
        provenance={"task": work.settings.columns},
    )
    path = work.folder / "distilled.tlc"
    result.compiled.save(path)
    chosen = {
        "teacher": row.name,
        "effort": effort,
        "texts": result.pool.counts(),
        "dev_score": result.best.score,
        "recipe": result.best.recipe.as_dict(),
    }
    notes = list(result.notes)
    if len(transfer) < len(problem.unlabelled):
        notes.append(f"{len(transfer):,} of {len(problem.unlabelled):,} texts without labels were used")
    if missing > may_make:
        notes.append(f"{may_make:,} texts were made and not {missing:,}: more the teacher would not answer in time")
    saved = replace(work.saved("tlclassic", path, threads=True), classes=result.compiled.classes_.tolist())
    return [Fitted("distilled", saved, chosen, notes)]


def _teacher(work: Work) -> Fitted:
    row = teacher_of(work.fitted)
    if row is None:
        raise LeftOut(f"it learns from {', '.join(TEACHERS[:-1])} or {TEACHERS[-1]}, and none of them was fitted")
    return row


def cascade(work: Work) -> list[Fitted]:
    """The student where it is sure, the teacher otherwise."""
    rows = work.fitted.get("distilled", ())
    if not rows:
        raise LeftOut("it is made of the distilled student and its teacher, and there is no student")
    student, teacher = rows[0], _teacher(work)
    names = teacher.saved.classes if teacher.saved.multilabel and teacher.name == "frozen" else None
    both = Cascade(load(student.saved.path), _opened(teacher), teacher_labels=names)
    work.tell("setting the threshold on dev")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TlclassicWarning)
        both.tune(work.problem.dev.texts, work.problem.dev.plain)
    path = work.folder / "cascade"
    shutil.rmtree(path, ignore_errors=True)
    both.save(
        path,
        refer=True,
        student_path=student.saved.path,
        teacher_path=teacher.saved.path,
        task=work.settings.columns,
    )
    tuning = both.tuning_
    assert tuning is not None
    chosen = {
        "teacher": teacher.name,
        "threshold": both.threshold_ if math.isfinite(both.threshold_) else None,
        "wanted": f"{tuning.kind} {tuning.value:g}",
        "passed_on_dev": tuning.report.share,
    }
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, TlclassicWarning)]
    saved = work.saved("tlclassic", path, threads=True, beside=teacher.saved.as_dict())
    return [Fitted("cascade", replace(saved, classes=both.classes_.tolist()), chosen, notes)]
