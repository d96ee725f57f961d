"""The tables about transformer encoders and the vectors made from one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench_accuracy import SETS, VECTORS
from markdown import load, table

#: Rows of the accuracy table, in this order, as bench_finetune names them.
TRAINED = {
    "minilm frozen+LR": "frozen MiniLM + LR",
    "minilm few-8": "MiniLM, 8 a class",
    "minilm few-64": "MiniLM, 64 a class",
    "minilm head": "fine-tuned: head",
    "minilm top-2": "fine-tuned: top 2 layers",
    "minilm all": "fine-tuned: all",
}


def encoder_accuracy() -> str:
    """Test accuracy of counting words, of word vectors, and of the encoder in its several uses."""
    cells: dict[str, dict[str, float]] = {}
    for row in load("accuracy")["rows"].values():
        if "vectors" not in row:
            cells.setdefault(row["features"], {})[row["set"]] = row["test_accuracy"]
    body = [_row(name, found) for name, found in cells.items()]
    body += [_row("best public word vectors + LR", _best_public()), _row("base-en + LR", _base_en())]
    found: dict[str, dict[str, float]] = {}
    for row in load("finetune")["rows"].values():
        if not row.get("candidate"):
            found.setdefault(row["features"], {})[row["set"]] = row["test_accuracy"]
    body += [_row(shown, found[name]) for name, shown in TRAINED.items() if name in found]
    return table(["", *SETS], body)


def _row(name: str, values: dict[str, float]) -> list[Any]:
    return [name, *(f"{values[key]:.2f}" if key in values else None for key in SETS)]


def _best_public() -> dict[str, float]:
    best: dict[str, float] = {}
    for row in load("accuracy")["rows"].values():
        if row.get("vectors") in VECTORS:
            best[row["set"]] = max(best.get(row["set"], 0.0), row["test_accuracy"])
    return best


def _base_en() -> dict[str, float]:
    return {name: row["test_accuracy"] for name, row in load("base_en")["rows"].items() if "test_accuracy" in row}


def encoder_training() -> str:
    """What each fine-tuning took, and how it was chosen."""
    body = []
    for row in load("finetune")["rows"].values():
        if row.get("candidate") or not row["features"].startswith("minilm") or "settings" not in row:
            continue
        settings = ", ".join(
            f"{name.replace('_', ' ')} {value}"
            for name, value in row["settings"].items()
            if name not in ("train", "threads")
        )
        body.append(
            [
                f"{row['set']}, {TRAINED.get(row['features'], row['features'])}",
                row.get("dev_accuracy"),
                row["test_accuracy"],
                row.get("test_accuracy_int8"),
                f"{row['cpu_seconds']:,.0f} s" if "cpu_seconds" in row and "resumed_at_step" not in row else None,
                settings,
            ]
        )
    return table(["set, what is trained", "dev", "test", "test, int8", "processor time", "settings"], body)


def encoder_speed() -> str:
    """Texts a second and ratios, a table for each machine."""
    rows = {key.removeprefix("speed, "): row for key, row in load("encoder")["rows"].items() if key.startswith("speed")}
    return "\n".join(f"{machine}:\n\n{_speed(row)}" for machine, row in rows.items())


def _speed(row: dict[str, Any]) -> str:
    rivals = [rival for rival in ("padded ONNX", "ONNX back-end") if f"times {rival}" in row]
    body = []
    for name, speed in row["texts_per_second"].items():
        over = [row[f"times {rival}"].get(name) for rival in rivals]
        ratios = [None if ratio is None else f"{ratio} ×" for ratio in over]
        body.append([name, f"{speed:,}", f"{row['times torch'][name]} ×", *ratios])
    return table(["", "texts/s", "over torch", *(f"over {rival} of the same type" for rival in rivals)], body)


def encoder_parity() -> str:
    """Cosines to sentence-transformers, and how much a vector depends on its batch."""
    row = load("encoder")["rows"].get("parity", {})
    body = []
    for name, measured in row.items():
        if "mean" in measured:
            body.append([name, f"{measured['mean']:.7f}", f"{measured['min']:.7f}"])
        else:
            body += [[f"{kind}, {name}", f"{one['mean']:.7f}", f"{one['min']:.7f}"] for kind, one in measured.items()]
    return table(["", "mean cosine", "least"], body)


def encoder_similarity() -> str:
    """Spearman correlations on STS-B."""
    rows, base = load("encoder")["rows"], load("base_en")["rows"].get("stsb", {})
    body = []
    for part in ("dev", "test"):
        measured = rows.get(f"stsb {part}")
        if measured:
            names = [name for name in measured if name != "pairs"]
            body += [[name, part, f"{measured[name]:.2f}"] for name in names]
        if part in base:
            body.append(["base-en, mean of words", part, f"{base[part]:.2f}"])
    return table(["", "part", "Spearman × 100"], body)


def encoder_memory() -> str:
    """Resident memory while many texts are encoded."""
    row = load("encoder")["rows"].get("memory")
    if row is None:
        return ""
    shares = row["resident MB at each tenth"]
    header = ["texts", *(f"{10 * place} %" for place in range(len(shares)))]
    return table(header, [[f"{row['texts']:,}", *(f"{value:,.0f} MB" for value in shares)]])


TABLES: dict[str, Callable[[], str]] = {
    "encoder_accuracy": encoder_accuracy,
    "encoder_training": encoder_training,
    "encoder_speed": encoder_speed,
    "encoder_parity": encoder_parity,
    "encoder_similarity": encoder_similarity,
    "encoder_memory": encoder_memory,
}
