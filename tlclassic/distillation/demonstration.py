"""The end of the demo: a teacher on base-en, what it knows in a compiled student, and the report of what was kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tlclassic.data import load_sample
from tlclassic.distillation.distilling import distill
from tlclassic.distillation.fidelity_report import Fidelity, fidelity
from tlclassic.distillation.fidelity_speed import measure_speed
from tlclassic.distillation.result import Distilled
from tlclassic.distillation.teachers import ProbabilityTeacher, open_teacher
from tlclassic.pipelines import save
from tlclassic.pipelines.training import FeatureOptions, train_classifier
from tlclassic.tuning.scoring import log_loss

__all__ = ["CANDIDATES", "DemoModel", "DistillationDemo", "run_distillation_demo"]

LABEL, STUDENT, EFFORT = "topic", "ngrams+vectors", "small"
#: What a teacher may be made of: base-en pooled so, by the names of the files.
CANDIDATES: dict[str, tuple[str, ...]] = {
    "teacher-mean": ("mean",),
    "teacher-sif": ("sif",),
    "teacher-tfidf": ("tfidf",),
    "teacher-wide": ("tfidf", "max", "min"),
}


@dataclass(frozen=True)
class DemoModel:
    """One line of the table.

    Attributes
    ----------
    name : str
    accuracy : float
        On the sample's test part.
    interval : tuple of float or None
        95 % Wilson interval of the accuracy.
    size : int
        Bytes on disk.
    startup_seconds : float
        Of a process that opens the model and labels one text.
    texts_per_second : float
        On one thread.
    """

    name: str
    accuracy: float
    interval: tuple[float | None, float | None]
    size: int
    startup_seconds: float
    texts_per_second: float


@dataclass(frozen=True, eq=False)
class DistillationDemo:
    """What came of it.

    Attributes
    ----------
    models : list of DemoModel
        Teacher, student, the student without the teacher.
    teacher_files : list of Path
    student_file : Path
    report : Path or None
        The page.
    n_texts : dict of str to int
        Texts that the student learnt from, by kind, and ``dev``.
    dev_scores : dict of str to float
        Accuracy of teacher and student on the texts that they were chosen by.
    fidelity : Fidelity
    """

    models: list[DemoModel]
    teacher_files: list[Path]
    student_file: Path
    report: Path | None
    n_texts: dict[str, int]
    dev_scores: dict[str, float | None]
    fidelity: Fidelity

    def arguments(self) -> list[str]:
        """Those of ``tlclassic`` for another student from the same files, with more effort."""
        folder = self.student_file.parent
        names = {"--texts": "unlabelled.txt", "--train": "train.tsv", "--dev": "dev.tsv", "--test": "test.tsv"}
        given = [part for option, name in names.items() for part in (option, str(folder / name))]
        made = ["--report", str(folder / "again.html"), "--out", str(folder / "again.tlc")]
        return [
            "distill",
            *map(str, self.teacher_files),
            "--label",
            LABEL,
            *given,
            "--student",
            STUDENT,
            "--objective",
            "auto",
            *made,
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        kept = {name: getattr(self.fidelity, name) for name in ("difference", "retention", "gap_closed", "agreement")}
        return {
            "models": [asdict(model) for model in self.models],
            "teacher_files": [path.name for path in self.teacher_files],
            "report": None if self.report is None else str(self.report),
            "texts": self.n_texts,
            "dev": self.dev_scores,
            "fidelity": {name: None if value is None else asdict(value) for name, value in kept.items()},
        }


def run_distillation_demo(
    folder: Path,
    report: Path | None,
    *,
    candidates: Mapping[str, Sequence[str]] = CANDIDATES,
    augmentation: Sequence[str] | None = None,
    seconds: float = 0.2,
    on_step: Callable[[str], None] = lambda message: None,
) -> DistillationDemo:
    """Train a teacher on the embedded sample, distil and compile it, and hold the two against each other.

    Everything is chosen on the sample's dev part; its test part is read once, at the end.

    Parameters
    ----------
    folder : path
        The teacher's files and the student are left here.
    report : path or None
        Where the page goes.
    candidates : mapping of str to sequence of str
        Names of the teachers' files, and how base-en is pooled for each.
    augmentation : sequence of str, optional
        As of :func:`distill`.
    seconds : float
        What a run of the measurement should last.
    on_step : callable, optional
        Called with a line of text before each step.
    """
    train, dev = (load_sample(split).dataset(LABEL) for split in ("train", "dev"))
    on_step("training teachers on base-en")
    files = _best_teacher(folder, candidates, train, dev)
    teacher = open_teacher([str(path) for path in files] if len(files) > 1 else str(files[0]))
    on_step(f"distilling {' + '.join(path.stem for path in files)} into n-grams with word vectors")
    result = distill(
        teacher,
        load_sample("unlabelled").texts,
        labelled=(train.texts, train.labels),
        dev=(dev.texts, dev.labels),
        student=STUDENT,
        effort=EFFORT,
        objective="auto",
        augmentation=augmentation,
        provenance={"task": {"text": "text", "label": LABEL}},
    )
    student = folder / "student.tlc"
    result.compiled.save(student)
    on_step("comparing teacher and student")
    found = _compared(teacher, result, files, student, seconds)
    if report is not None:
        found.to_html(report, title="Topic of a customer message: the student and its teacher")
    return DistillationDemo(
        models=_models(found),
        teacher_files=files,
        student_file=student,
        report=report,
        n_texts=result.pool.counts(),
        dev_scores={"teacher": result.teacher_score, "student": result.best.score},
        fidelity=found,
    )


def _best_teacher(folder: Path, candidates: Mapping[str, Sequence[str]], train: Any, dev: Any) -> list[Path]:
    """The files of those whose averaged probabilities are best on dev, by log loss: accuracy is coarse on 160 texts."""
    proba: dict[Path, NDArray[np.float64]] = {}
    truth = np.zeros(0)
    for name, pooling in candidates.items():
        # Probabilities that are too sure teach little, and those of a head chosen by its accuracy are.
        options = FeatureOptions(pooling=pooling)
        model = train_classifier(train.texts, train.labels, options, calibrate="temperature").pipeline
        path = folder / f"{name}.tlc"
        save(model, path, metadata={"task": {"text": "text", "label": LABEL}})
        proba[path] = np.asarray(model.predict_proba(dev.texts), dtype=np.float64)
        truth = np.asarray([np.asarray(model.classes_) == label for label in dev.labels], dtype=np.float64)
    chosen: list[Path] = []
    best = np.inf
    while rest := [path for path in proba if path not in chosen]:
        losses = {path: _loss([*chosen, path], proba, truth) for path in rest}
        path = min(rest, key=losses.__getitem__)
        if losses[path] >= best:
            break
        chosen, best = [*chosen, path], losses[path]
    return chosen


def _loss(paths: list[Path], proba: Mapping[Path, NDArray[np.float64]], truth: NDArray[np.float64]) -> float:
    return log_loss(truth, np.mean([proba[path] for path in paths], axis=0), "softmax")


def _compared(
    teacher: ProbabilityTeacher, result: Distilled, files: list[Path], student: Path, seconds: float
) -> Fidelity:
    test = load_sample("test").dataset(LABEL)
    plain = result.undistilled()
    with threadpool_limits(1):
        speed = measure_speed(
            teacher.probabilities,
            result.compiled,
            test.texts,
            repeats=3,
            undistilled=plain,
            teacher_path=files,
            student_path=student,
            seconds=seconds,
        )
    return fidelity(
        test.texts,
        test.labels,
        teacher.probabilities(test.texts),
        result.compiled,
        classes=teacher.classes,
        undistilled=plain,
        speed=speed,
    )


def _models(found: Fidelity) -> list[DemoModel]:
    names = {"teacher": "teacher", "student": "student, int8", "undistilled": "student without teacher"}
    rows = []
    for attribute, name in names.items():
        scores, cost = getattr(found, attribute), getattr(found.speed, attribute)
        accuracy = scores.accuracy
        rows.append(
            DemoModel(
                name,
                accuracy.value,
                (accuracy.low, accuracy.high),
                cost.bytes,
                cost.startup_seconds,
                cost.texts_per_second,
            )
        )
    return rows
