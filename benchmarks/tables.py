"""docs/benchmarks.md and its plots, drawn from the results files."""

from __future__ import annotations

import json
from pathlib import Path

from classifier_plots import classifier_plot, scoring_plot
from classifier_tables import TABLES, classifiers_by_name
from distill_tables import TABLES as DISTILL_TABLES
from encoder_tables import TABLES as ENCODER_TABLES
from joint_tables import TABLES as JOINT_TABLES
from markdown import load, table
from multitask_tables import TABLES as MULTITASK_TABLES
from plots import accuracy_plot, speed_plot
from spacy_tables import TABLES as SPACY_TABLES
from tagging_tables import TABLES as TAGGING_TABLES

DOCS = Path(__file__).resolve().parent.parent / "docs"
SETS = ("mr", "cr", "subj", "mpqa", "sst2", "trec6", "ag_news", "banking77")
SOURCES = {
    "glove-6b-50d": "GloVe 6B 50d (8 k words)",
    "glove-twitter-25d": "GloVe Twitter 25d (14 k)",
    "googlenews-300d": "Google News 300d (14 k)",
    "minilm-static-128d": "static MiniLM 128d (40 k)",
    "imdb-word2vec-100d": "word2vec on IMDb 100d",
    "imdb-fasttext-100d": "fastText on IMDb 100d",
}
#: SentEval: Conneau & Kiela 2018, https://arxiv.org/abs/1803.05449 (other splits, 300-d tables, cross-validation).
PUBLISHED = {
    "published: GloVe 840B 300d, average": (77.25, 78.30, 91.17, 87.85, 80.18, 83.0, None, None),
    "published: fastText 300d, average": (77.96, 79.23, 91.68, 87.81, 82.15, 83.6, None, None),
}


def accuracy() -> str:
    """Test accuracy, the best pooled row of each set in bold."""
    rows = load("accuracy")["rows"].values()
    cells: dict[str, dict[str, float]] = {}
    for row in rows:
        name = row["features"]
        if "vectors" in row:
            name = f"{SOURCES[row['vectors']]}, {row['pooling']}"
        cells.setdefault(name, {})[row["set"]] = row["test_accuracy"]
    best = {
        name: max((row["test_accuracy"] for row in rows if row["set"] == name and "vectors" in row), default=None)
        for name in SETS
    }

    def cell(name: str, value: float | None, pooled: bool) -> str:
        if value is None:
            return ""
        return f"**{value:.2f}**" if pooled and value == best[name] else f"{value:.2f}"

    order = sorted(cells, key=lambda name: ("," not in name.replace("(1,2)", ""), name))
    body = []
    for features in order:
        pooled = features not in ("tfidf(1,2)+LR", "nbsvm(1,2)")
        body.append([features, *(cell(name, cells[features].get(name), pooled) for name in SETS)])
    body += [
        [name, *(None if value is None else f"{value:.2f}" for value in values)] for name, values in PUBLISHED.items()
    ]
    return table(["features", *SETS], body)


def loading() -> str:
    """Seconds, ratios and memory of opening vectors."""
    body = []
    for size, row in load("load")["rows"].items():
        for reader, measured in row["readers"].items():
            shown = [
                f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.1f} ms"
                for value in (measured["seconds"], measured["cpu_seconds"])
            ]
            body.append(
                [f"{size}, {row['text_bytes'] / 1e6:,.0f} MB", reader, *shown, f"{measured['peak_mb']:,.0f} MB"]
            )
        body += [
            [size, ratio, f"{row[ratio + ', seconds']:,} ×", f"{row[ratio + ', cpu_seconds']:,} ×", ""]
            for ratio in ("gensim / tlclassic", "text / store")
        ]
    return table(["file", "reader", "wall clock", "processor time", "peak memory of the process"], body)


def pooling() -> str:
    """Texts a second and ratios of mean pooling."""
    body = []
    for row in load("pool")["rows"].values():
        speed = row["texts_per_second"]
        body.append(
            [
                f"{row['set']}, {row['words']:,} x {row['dim']}",
                f"{speed['tlclassic']:,}",
                f"{row['tlclassic MB/s']}",
                f"{speed['gensim loop']:,}",
                f"{speed['model2vec']:,}",
                f"{row['gensim / tlclassic']} ×",
                f"{row['model2vec / tlclassic']} ×",
                " / ".join(f"{row['peak_mb'][name]:,}" for name in ("tlclassic", "gensim loop", "model2vec")),
            ]
        )
    header = [
        "texts, table",
        "tlclassic texts/s",
        "MB/s",
        "gensim loop",
        "model2vec",
        "over gensim",
        "over model2vec",
        "peak MB",
    ]
    return table(header, body)


def references() -> str:
    """Largest differences to gensim and fastText."""
    body = []
    for name, row in load("references")["rows"].items():
        if "similarity" in row:
            sets = row["similarity"].values()
            worst = max((item["difference"] for item in sets), default=0.0)
            body.append(
                [
                    name,
                    f"{row['words']:,} x {row['dim']}",
                    f"{row['largest_difference']:.0e}",
                    f"{worst:.0e} ({len(sets)} sets)",
                ]
            )
        else:
            worst = max(row["largest_difference_gensim"], row.get("largest_difference_fasttext", 0.0))
            body.append([name, f"{row['words']:,} x {row['dim']}", f"{worst:.0e}", ""])
    return table(["vectors", "size", "largest difference of a look-up", "largest difference of a correlation"], body)


def wordsim() -> str:
    """Spearman correlations by vector set."""
    rows = {name: row["similarity"] for name, row in load("references")["rows"].items() if row.get("similarity")}
    sets = sorted({name for row in rows.values() for name in row})
    body = [
        [name, *(f"{row[key]['spearman']:.3f} ({row[key]['pairs']})" if key in row else None for key in sets)]
        for name, row in rows.items()
    ]
    return table(["vectors", *(name.removeprefix("EN-") for name in sets)], body)


def machine() -> str:
    """The machine and the versions, from the results."""
    environment = next((load(name)["environment"] for name in ("load", "pool", "accuracy") if load(name)["rows"]), {})
    return "```json\n" + json.dumps(environment, indent=1) + "\n```\n"


def main() -> None:
    """Write the page from its template."""
    page = (Path(__file__).with_name("benchmarks.md.in")).read_text(encoding="utf-8")
    parts = {
        "accuracy": accuracy,
        "loading": loading,
        "pooling": pooling,
        "references": references,
        "wordsim": wordsim,
        "machine": machine,
        **TABLES,
        **ENCODER_TABLES,
        **DISTILL_TABLES,
        **JOINT_TABLES,
        **TAGGING_TABLES,
        **MULTITASK_TABLES,
        **SPACY_TABLES,
    }
    for name, make in parts.items():
        page = page.replace(f"{{{{{name}}}}}\n", make())
    (DOCS / "benchmarks.md").write_text(page, encoding="utf-8")
    accuracy_plot(load("accuracy")["rows"], DOCS / "accuracy.svg")
    speed_plot(load("pool")["rows"], load("load")["rows"], DOCS / "speed.svg")
    scoring_plot(load("scoring")["rows"], DOCS / "scoring.svg")
    classifier_plot(classifiers_by_name(), DOCS / "classifiers.svg")


if __name__ == "__main__":
    main()
