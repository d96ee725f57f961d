"""The tables about joined sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from markdown import load, table


def _rows(begin: str) -> list[dict[str, Any]]:
    return [row for key, row in load("joint")["rows"].items() if key.startswith(f"{begin} ")]


def joint_similarity() -> str:
    """Spearman of the joint vectors beside the best single source, for each set of word pairs."""
    body = []
    for config in dict.fromkeys(row["sources"] for row in _rows("similarity")):
        rows = [row for row in _rows("similarity") if row["sources"] == config]
        body += [
            [
                f"{row['set']}, {config}", f"{row['n_known']} of {row['n_pairs']}", row["best_single"],
                f"{row['best_single_all_pairs']:.3f}", f"{row['best_single_whitened_all_pairs']:.3f}",
                f"{row['all_pairs']['joint']:.3f}",
                f"{row['best_single_on_its_pairs']:.3f}", f"{row['joint_on_its_pairs']:.3f}",
            ]
            for row in rows
        ]  # fmt: skip
        wins = [
            sum(row["all_pairs"]["joint"] > row[f"best_single{kind}_all_pairs"] for row in rows)
            for kind in ("", "_whitened")
        ]
        own = sum(row["joint_on_its_pairs"] > row["best_single_on_its_pairs"] for row in rows)
        body.append(
            [f"**joint above, {config}**", None, None, f"{wins[0]} of {len(rows)}", f"{wins[1]} of {len(rows)}", None,
             f"{own} of {len(rows)}", None]
        )  # fmt: skip
    head = ["pairs, sources", "known", "best single", "as it is", "whitened", "joint", "on its pairs", "joint on them"]
    return table(head, body)


def joint_classification() -> str:
    """Test figures of a ridge classifier on the mean of the words, by word vectors."""
    cells: dict[str, dict[str, float]] = {}
    for row in _rows("classification"):
        found = row.get("test_accuracy", row["test_macro_f1"])
        cells.setdefault(row["vectors"], {})[row["set"]] = found
    sets = list(dict.fromkeys(row["set"] for row in _rows("classification")))
    complete = [name for name in sets if all(name in row for row in cells.values())]
    body = []
    for name, row in cells.items():
        mean = f"{np.mean([row[each] for each in complete]):.2f}" if complete else None
        body.append([name, *(f"{row[each]:.2f}" if each in row else None for each in sets), mean])
    return table(["vectors", *sets, "mean"], body)


def joint_retrofitting() -> str:
    """Spearman on the known pairs, before and after."""
    rows = _rows("retrofitting")
    sets = list(dict.fromkeys(name for row in rows for name in row["spearman"]))
    body = [[f"{row['vectors']}, {row['way']}", *(f"{row['spearman'][name]:.3f}" for name in sets)] for row in rows]
    return table(["vectors", *sets], body)


def joint_alignment() -> str:
    """Precision@1 of induced lexicons."""
    body = [
        [
            f"{row['pair']}, {row['way']}", row["pairs"], row["n_test"], f"{100 * row['precision_cosine']:.1f}",
            None if "precision_csls" not in row else f"{100 * row['precision_csls']:.1f}",
        ]
        for row in _rows("alignment")
    ]  # fmt: skip
    return table(["languages, way", "pairs", "test words", "P@1, cosine", "P@1, CSLS"], body)


def joint_zero_shot() -> str:
    """Accuracy on Spanish intents."""
    row = next(iter(_rows("zero-shot")), None)
    if row is None:
        return ""
    shown = [
        "majority", "zero-shot", "zero-shot, adapted to Spanish texts", "trained on Spanish", "english on English",
    ]  # fmt: skip
    return table(["model", "accuracy"], [[name, f"{row[name]:.2f}"] for name in shown])


TABLES: dict[str, Callable[[], str]] = {
    "joint_similarity": joint_similarity,
    "joint_classification": joint_classification,
    "joint_retrofitting": joint_retrofitting,
    "joint_alignment": joint_alignment,
    "joint_zero_shot": joint_zero_shot,
}
