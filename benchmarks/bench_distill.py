"""What a distilled linear student keeps of its teacher: accuracy, size and speed, against itself without the teacher.

The teacher of a set is all-MiniLM-L6-v2, fine-tuned with the settings of ``bench_finetune.py``. The student is made by
``tlclassic.distill``: features, strength and objective are chosen on dev, three seeds, the test file is read once for a
row. Where a set has no dev part (trec6, banking77, reuters_r8) every seventh training row is one, and teacher and
student are trained on the other six. Resumable: teachers, their answers and finished rows are kept.

    python benchmarks/bench_distill.py teach [SET ...]
    python benchmarks/bench_distill.py student [SET ...]
    python benchmarks/bench_distill.py speed [SET ...]
    python benchmarks/bench_distill.py without SET PART      # without a kind of transfer text, on dev alone
    python benchmarks/bench_distill.py few SET LABELS        # so many labelled texts, the others without labels
    python benchmarks/bench_distill.py                       # everything that is missing

The encoder is the folder that ``TLCLASSIC_ENCODER`` names (all-MiniLM-L6-v2 exported by ``tlclassic encoder export``).
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  (thread counts are read when the libraries are imported)
from bench_finetune import ENCODER, SENTENCES, SHORT, WHOLE, parts_of, progress  # noqa: E402
from common import SCRATCH, SHARED, Results, evenly  # noqa: E402
from tasks import load_task  # noqa: E402

import tlclassic  # noqa: E402
from tlclassic.distillation import distill, open_teacher  # noqa: E402

SETS = ("sst2", "mr", "cr", "ag_news", "trec6", "banking77", "stackoverflow20", "reuters_r8", "goemotions")
SEEDS = (0, 1, 2)
LONG = {"learning_rate": 1e-4, "epochs": 3, "averaging": 0.99, "label_smoothing": 0.05, "max_length": 128}
LABELS = {"learning_rate": 1e-4, "epochs": 3, "averaging": 0.998, "batch_size": 64, "metric": "loss"}
TEACHERS: dict[str, dict[str, Any]] = {
    **{name: WHOLE.get(name, SENTENCES) for name in ("sst2", "mr", "cr", "ag_news", "trec6", "banking77")},
    "stackoverflow20": {**SHORT, "epochs": 4},
    "reuters_r8": LONG,
    "goemotions": LABELS,
}
REVIEWS = "imdb_unsup/sentences.txt.gz"
#: Texts without labels beside a set's own, and how many of them the teacher is asked about. General English holds no
#: questions about bank cards, and little of what ag_news reports: the more of it stands in the place of texts made from
#: the set's own, the less the student agrees with the teacher on dev (95.6 % with 128,000 sentences, 95.9 with none).
TRANSFER = dict.fromkeys(("sst2", "mr", "cr"), (REVIEWS, 300_000))
#: Texts that students are timed on: with a few thousand, caches that the teacher emptied would take much of the time.
MANY = 100_000
#: The student's file.
MAX_SIZE = 10_000_000
OPTIONS: dict[str, dict[str, Any]] = {name: {"effort": "medium", "student": "convolution"} for name in SETS}
#: Tags of questions are told by names and parts of names: dev prefers n-grams with letters.
OPTIONS["stackoverflow20"] = {"effort": "medium", "student": "ngrams"}


def folder(name: str) -> Path:
    """Of a set's teacher."""
    return SCRATCH / "teachers" / name


def parts(name: str) -> tuple[dict[str, tuple[list[str], Any]], list[Any], bool]:
    """Train, dev and test of a set with lists of labels where a text may have several; the classes; whether it may."""
    task = load_task(name)
    if task.multilabel:
        found: dict[str, tuple[list[str], Any]] = {
            part: (task.texts[part], task.labels[part]) for part in ("train", "dev", "test")
        }
        return found, task.classes, True
    return dict(parts_of(name, bool(TEACHERS[name].get("phrases")), 1)), task.classes, False


def teach(name: str) -> None:
    """Fine-tune the teacher of a set."""
    if folder(name).exists():
        return
    from tlclassic.finetune import fine_tune

    data, classes, multilabel = parts(name)
    settings = {key: value for key, value in TEACHERS[name].items() if key != "phrases"}
    extra: dict[str, Any] = {"multilabel": True, "classes": classes} if multilabel else {}
    train, dev = data["train"], data["dev"]
    if multilabel:
        task = load_task(name)
        train, dev = (task.texts["train"], task.targets["train"]), (task.texts["dev"], task.targets["dev"])
    folder(name).parent.mkdir(parents=True, exist_ok=True)
    options = {"train": "all", "threads": 1, **settings, **extra}
    fine_tune(str(ENCODER), *train, str(folder(name)), dev=dev, on_progress=progress, force=True, **options)


def transfer_texts(name: str) -> list[str]:
    """Texts without labels for a set."""
    if name not in TRANSFER:
        return []
    path, limit = TRANSFER[name]
    with gzip.open(SHARED / "data" / path, "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    return lines[:: max(1, len(lines) // limit)][:limit]


def teacher_of(name: str) -> Any:
    """The teacher of a set, its graph in int8: half the time for nearly the same probabilities."""
    from tlclassic.heads.encoder_classifier import EncoderClassifier

    return open_teacher(EncoderClassifier(str(folder(name)), file="int8", threads=1).open())


def measured(predicted: Any, truth: Any, multilabel: bool, classes: list[Any]) -> float:
    """Accuracy, or macro F1 where a text may have several labels, in percent."""
    if not multilabel:
        return round(100 * float(np.mean(np.asarray(predicted) == np.asarray(truth))), 2)
    from sklearn.metrics import f1_score

    place = {label: column for column, label in enumerate(classes)}
    wanted = np.zeros((len(truth), len(classes)), dtype=int)
    for row, labels in enumerate(truth):
        wanted[row, [place[label] for label in labels]] = 1
    return round(100 * float(f1_score(wanted, predicted, average="macro", zero_division=0)), 2)


def run(name: str, seed: int, **options: Any) -> Any:
    """One distillation."""
    data, _, _ = parts(name)
    return distill(
        teacher_of(name),
        transfer_texts(name),
        labelled=data["train"],
        dev=data["dev"],
        max_size=MAX_SIZE,
        cache=SCRATCH / "soft-labels",
        threads=1,
        random_state=seed,
        on_progress=_say(name),
        **{**OPTIONS[name], **options},
    )


def _say(name: str) -> Any:
    state = {"at": 0.0}

    def say(stage: str, done: int, total: int | None) -> None:
        if time.time() - state["at"] > 30:
            state["at"] = time.time()
            print(f"  {time.strftime('%H:%M:%S')} {name}: {stage} {done}/{total}", flush=True)

    return say


def students(name: str, results: Results) -> None:
    """The teacher's row, then a student's row for every seed."""
    data, classes, multilabel = parts(name)
    texts, truth = data["test"]
    if (key := f"{name} teacher") not in results:
        from tlclassic.heads.encoder_classifier import EncoderClassifier

        row: dict[str, Any] = {"set": name, "n_test": len(texts), "metric": "macro_f1" if multilabel else "accuracy"}
        for file in ("fp32", "int8"):
            predicted = EncoderClassifier(str(folder(name)), file=file, threads=1).predict(texts)
            row[f"test_{file}"] = measured(predicted, truth, multilabel, classes)
        results.add(key, row)
    for seed in SEEDS:
        if (key := f"{name} student {seed}") in results:
            continue
        result = run(name, seed)
        path = SCRATCH / "students" / f"{name}-{seed}.tlc"
        path.parent.mkdir(parents=True, exist_ok=True)
        result.compiled.save(path)
        alone = result.undistilled()
        row = {
            "set": name,
            "seed": seed,
            "dev_teacher": round(100 * result.teacher_score, 2),
            "dev_student": round(100 * result.best.score, 2),
            "test_student": measured(result.compiled.predict(texts), truth, multilabel, classes),
            "test_undistilled": measured(alone.predict(texts), truth, multilabel, classes),
            "bytes": path.stat().st_size,
            "recipe": result.best.recipe.as_dict(),
            "texts": result.pool.counts(),
            "n_trials": len(result.trials),
            "seconds": round(result.seconds, 1),
        }
        results.add(key, row)


def speed(name: str, results: Results) -> None:
    """Texts a second of the student, of n-grams on the same texts and of the int8 teacher, one thread each, in turn."""
    from tlclassic.evaluation import interleaved
    from tlclassic.heads.encoder_classifier import EncoderClassifier

    if (key := f"{name} speed") in results:
        return
    texts = parts(name)[0]["test"][0]
    student = tlclassic.load(SCRATCH / "students" / f"{name}-0.tlc")
    teacher = EncoderClassifier(str(folder(name)), file="int8", threads=1)
    few = texts[:: max(1, len(texts) // 128)][:128]
    many = (texts * (1 + MANY // len(texts)))[:MANY]
    ngrams = linear(name)
    timed = {
        "teacher": lambda: teacher.predict(few),
        "student": lambda: student.predict(many),
        "ngrams": lambda: ngrams.predict(many),
    }
    times = interleaved(timed, repeats=7)
    rates = {who: (len(few) if who == "teacher" else len(many)) / times[who]["median"] for who in timed}
    results.add(
        key,
        {
            "set": name,
            "texts_per_second": {who: round(rate, 1) for who, rate in rates.items()},
            "student_over_teacher": round(rates["student"] / rates["teacher"]),
            "ngrams_over_student": round(rates["ngrams"] / rates["student"], 2),
            "families": [family["type"] for family in student.metadata["families"]],
            "n_classes": len(student.classes_),
        },
    )


def linear(name: str) -> Any:
    """A linear student over words one to three, fitted to the labels and texts that students learn from most."""
    task = load_task(name)
    y: Any = task.targets["train"] if task.multilabel else parts(name)[0]["train"][1]
    texts = parts(name)[0]["train"][0]
    transfer = transfer_texts(name)[:100_000]
    model = tlclassic.NgramClassifier(word_ngrams=(1, 3), bits=21, multilabel=task.multilabel, solver="adagrad")
    if transfer and not task.multilabel:
        # Labels do not matter for speed, the number of n-grams with weights does.
        texts, y = [*texts, *transfer], [*y, *(y[i % len(y)] for i in range(len(transfer)))]
    return tlclassic.compile(model.fit(texts, y), dtype="int8")


def without(name: str, part: str, results: Results) -> None:
    """Dev score and log loss without "transfer" texts, a way of making texts, or "nothing", to compare with."""
    if (key := f"{name} without {part}") in results:
        return
    from tlclassic.distillation import METHODS

    options: dict[str, Any] = {"augmentation": [other for other in METHODS if other != part]}
    data, _, _ = parts(name)
    result = distill(
        teacher_of(name),
        [] if part == "transfer" else transfer_texts(name),
        labelled=data["train"],
        dev=data["dev"],
        cache=SCRATCH / "soft-labels",
        threads=1,
        **{**OPTIONS[name], **options},
    )
    row = {"dev_student": round(100 * result.best.score, 2), "dev_log_loss": round(result.best.log_loss, 4)}
    results.add(key, {"set": name, "without": part, **row})


#: Up to so many labels the teacher is fitted to pairs (SetFit: Tunstall et al. 2022, https://arxiv.org/abs/2209.11055),
#: beyond that as of any set.
PAIRS_UP_TO = 500
#: Texts without labels, at most.
FEW_TRANSFER = 20_000


def few(name: str, n_labels: int, results: Results) -> None:
    """A few labelled texts, drawn evenly over the classes, and the set's other texts without labels; no dev."""
    if (key := f"{name} few {n_labels}") in results:
        return
    from tlclassic.finetune import fine_tune

    # Whole sentences where a set has phrases as well: so few phrases say nothing.
    data = parts_of(name, False, 1)
    texts, labels = data["train"]
    chosen = sorted(evenly(labels, n_labels, 0))
    train = [texts[row] for row in chosen], [labels[row] for row in chosen]
    out = SCRATCH / "teachers" / f"{name}-few-{n_labels}"
    if not out.exists():
        pairs = n_labels <= PAIRS_UP_TO
        own: dict[str, Any] = {"contrastive": True} if pairs else {**SENTENCES, "epochs": 8}
        fine_tune(str(ENCODER), *train, str(out), on_progress=progress, force=True, threads=1, **own)
    teacher = _classifier(out)
    rest = [text for row, text in enumerate(texts) if row not in set(chosen)]
    transfer = [*rest, *transfer_texts(name)]
    transfer = transfer[:: max(1, len(transfer) // FEW_TRANSFER)][:FEW_TRANSFER]
    options = {**OPTIONS[name], "cache": SCRATCH / "soft-labels", "threads": 1, "max_size": MAX_SIZE}
    if len(transfer) == FEW_TRANSFER:
        options["augmentation"] = []
    result = distill(open_teacher(teacher), transfer, on_progress=_say(key), **options)
    test, truth = data["test"]
    models = {"teacher": teacher, "student": result.compiled, **_plain(*train)}
    row = {f"test_{who}": measured(model.predict(test), truth, False, []) for who, model in models.items()}
    results.add(key, {"set": name, "labels": len(chosen), "texts": result.pool.counts(), **row})


def _classifier(path: Path) -> Any:
    from tlclassic.heads.encoder_classifier import EncoderClassifier

    return EncoderClassifier(str(path), file="int8", threads=1).open()


def _plain(texts: list[str], labels: list[Any]) -> dict[str, Any]:
    """TF-IDF and base-en with logistic regression; strengths by cross-validation where there are enough labels."""
    from sklearn.base import clone
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.pipeline import make_pipeline

    least = min(labels.count(label) for label in set(labels))
    head: Any = LogisticRegression(max_iter=1000)
    if least >= 5:
        head = LogisticRegressionCV(Cs=10, l1_ratios=(0,), scoring="accuracy", cv=5, max_iter=1000)
    features = {
        "tfidf": TfidfVectorizer(ngram_range=(1, 2)),
        "base_en": tlclassic.EmbeddingVectorizer(tlclassic.load_vectors("base-en")),
    }
    return {name: make_pipeline(step, clone(head)).fit(texts, labels) for name, step in features.items()}


def main(arguments: list[str]) -> None:
    """Run one step for some sets, or all that is missing."""
    results = Results("distill")
    match arguments:
        case []:
            for name in SETS:
                teach(name)
                students(name, results)
            for name in SETS:
                speed(name, results)
        case ["teach", *names]:
            for name in names or SETS:
                teach(name)
        case ["student", *names]:
            for name in names or SETS:
                students(name, results)
        case ["speed", *names]:
            for name in names or SETS:
                speed(name, results)
        case ["few", name, n_labels]:
            few(name, int(n_labels), results)
        case ["without", name, part]:
            without(name, part, results)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
