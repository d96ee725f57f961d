"""The tables on classifiers in docs/benchmarks.md, drawn from the results files."""

from __future__ import annotations

from typing import Any

from markdown import load, table

SETS = ("sst2", "trec6", "ag_news", "banking77", "reuters_r8", "stackoverflow20", "goemotions", "snips")
PEERS = ("fastText", "TF-IDF + LR", "NB-SVM")
OURS = ("tlclassic", "tlclassic + word vectors")
#: With the word vectors that ours may have: beside the peers as they are commonly used.
INFORMED = ("fastText + word vectors",)
SPEED_PEERS = (
    "fastText dim 10",
    "fastText program, dim 10",
    "fastText dim 100",
    "TF-IDF + LR",
    "hashing + LR",
    "model2vec",
    "spaCy bag of words",
)
YARD = "yard-stick, 64 bytes at a time"
SLOW_YARD = "yard-stick, byte by byte"
SMALL_YARD = "yard-stick with 2^16 rows"


def result(row: dict[str, Any]) -> float:
    """Accuracy, or macro F1 where a text may have several labels."""
    return float(row["test_accuracy"] if "test_accuracy" in row else row["test_macro_f1"])


def classifiers_by_name() -> dict[str, dict[str, dict[str, Any]]]:
    """Competitor → set → row."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in load("classifiers")["rows"].values():
        found.setdefault(row["competitor"], {})[row["set"]] = row
    return found


def _mean(values: dict[str, float]) -> str | None:
    return f"{sum(values.values()) / len(SETS):.2f}" if len(values) == len(SETS) else None


def classifier_accuracy() -> str:
    """Test accuracy by competitor; the best of each set in bold; macro F1 for goemotions."""
    found = classifiers_by_name()
    values = {
        name: {key: result(found[name][key]) for key in SETS if key in found[name]}
        for name in (*PEERS, *INFORMED, *OURS)
        if name in found
    }
    best = {key: max((row[key] for row in values.values() if key in row), default=0.0) for key in SETS}
    body: list[list[Any]] = []
    for name, row in values.items():
        cells = [
            None if key not in row else f"**{row[key]:.2f}**" if row[key] == best[key] else f"{row[key]:.2f}"
            for key in SETS
        ]
        body.append([name, *cells, _mean(row)])
    return table(["classifier", *SETS, "mean"], body) + "\n" + _uneven(found)


def _uneven(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    scores = [
        f"{name} {found[name]['reuters_r8']['test_macro_f1']:.2f}"
        for name in (*PEERS, *INFORMED, *OURS)
        if "reuters_r8" in found.get(name, {})
    ]
    return f"Macro F1 on reuters_r8, whose classes are uneven: {', '.join(scores)}.\n"


def scoring() -> str:
    """Texts a second of ours, and how many times faster than each peer."""
    body = []
    for row in load("scoring")["rows"].values():
        speed, times, megabytes = row["texts_per_second"], row["times faster"], row["MB/s"]
        ours = speed["tlclassic int8"]
        body.append(
            [
                f"{row['set']}, {row['classes']} classes",
                f"{1e6 * row['megabytes'] / row['texts']:.0f}",
                f"{ours / 1e6:.2f} M",
                f"{megabytes['tlclassic int8']:,.0f}",
                f"{100 * ours / speed[YARD]:.0f} %",
                f"{speed['tlclassic int8, two threads'] / ours:.2f} ×",
                f"{speed['tlclassic int8, Arrow column'] / ours:.2f} ×",
                *(f"{times[peer]:,.1f} ×" if peer in times else None for peer in SPEED_PEERS),
            ]
        )
    header = ["texts", "bytes each", "texts/s", "MB/s", "of the yard-stick", "two threads", "Arrow column"]
    return table([*header, *(f"over {peer}" for peer in SPEED_PEERS)], body)


def scoring_absolute() -> str:
    """Texts a second of everyone."""
    names = ("tlclassic int8", "tlclassic float32", YARD, SMALL_YARD, SLOW_YARD, *SPEED_PEERS)
    rows = load("scoring")["rows"].values()
    body = [
        [name, *(f"{row['texts_per_second'][name]:,}" if name in row["texts_per_second"] else None for row in rows)]
        for name in names
    ]
    return table(["texts a second", *(row["set"] for row in rows)], body)


def training() -> str:
    """Seconds and test accuracy."""
    body = []
    for row in load("training")["rows"].values():
        body += [
            [
                f"{row['set']}, {row['texts']:,} texts",
                name,
                f"{seconds:.2f} s",
                f"{row['cpu_seconds'][name]:.2f} s",
                f"{row['test_accuracy'][name]:.2f}",
            ]
            for name, seconds in row["seconds"].items()
        ]
    return table(["set", "classifier", "wall clock", "processor time", "test accuracy"], body)


def size() -> str:
    """Megabytes, test accuracy and points lost."""
    body = []
    for row in load("size")["rows"].values():
        forms = {name: form for name, form in row.items() if isinstance(form, dict)}
        for name, form in forms.items():
            whole = forms["tlclassic float32" if name.startswith("tlclassic") else "fastText dim 10"]
            lost = form["test_accuracy"] - whole["test_accuracy"]
            body.append(
                [
                    row["set"],
                    name,
                    f"{form['bytes'] / 1e6:.2f} MB",
                    f"{form['test_accuracy']:.2f}",
                    f"{lost:+.2f}" if form is not whole else None,
                ]
            )
    return table(["set", "form", "size", "test accuracy", "points to the whole model"], body)


def start() -> str:
    """Wall clock, memory."""
    body = []
    for row in load("start")["rows"].values():
        body += [
            [
                name,
                f"{1000 * cost['wall_seconds']:.0f} ms",
                f"{cost['times numpy']:.2f} ×",
                f"{cost['peak_mb']:.1f} MB",
                f"{cost['mb over numpy']:+.1f} MB",
            ]
            for name, cost in row["processes"].items()
        ]
    return table(["process", "wall clock", "of NumPy's", "peak memory", "over NumPy's"], body)


def tune() -> str:
    """Test accuracy after the same seconds."""
    names = ("tlclassic tune", "fastText autotune")
    body = [
        [
            f"{row['set']}, {row['seconds']} s",
            *(cell for name in names for cell in (f"{row[name]['test_accuracy']:.2f}", f"{row[name]['took']:.0f} s")),
        ]
        for row in load("tune")["rows"].values()
    ]
    return table(["set, budget", *(cell for name in names for cell in (name, "took"))], body)


def letters() -> str:
    """What letters within words cost and bring."""
    body = []
    for row in load("letters")["rows"].values():
        rates, accuracy = row["texts_per_second"], row["accuracy"]
        both = rates["words and letters"]
        body.append(
            [
                row["set"],
                f"{rates['words']:,}",
                f"{both:,}",
                f"{rates['words'] / both:.1f} ×",
                f"{both / rates['nothing kept']:.1f} ×",
                f"{both / rates['scikit-learn']:.0f} ×",
                f"{accuracy['words']:.2f}",
                f"{accuracy['words and letters']:.2f}",
            ]
        )
    header = ["texts", "words, texts/s", "with letters, texts/s", "cost", "over nothing kept", "over scikit-learn"]
    return table([*header, "accuracy, words", "with letters"], body)


def threads() -> str:
    """Two threads over one, and what the machine gave two bare C loops meanwhile."""
    rows = load("threads")["rows"].values()
    names = list(dict.fromkeys(name for row in rows for name in row["two threads over one"]))
    body = [[row["set"], *(f"{row['two threads over one'][name]:.2f} ×" for name in names)] for row in rows]
    return table(["set", *names], body)


TABLES = {
    "classifier_accuracy": classifier_accuracy,
    "scoring": scoring,
    "scoring_absolute": scoring_absolute,
    "training": training,
    "size": size,
    "start": start,
    "threads": threads,
    "letters": letters,
    "tune": tune,
}
