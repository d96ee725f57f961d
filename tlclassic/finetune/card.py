"""The card of a fine-tuned encoder: what it is made from, how, how good, and its limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

__all__ = ["licence_of", "training_card"]


_OF_TEXTS = {
    "title": "A fine-tuned text classifier",
    "use": [
        "Written by `tlclassic finetune`; it runs without torch: `tlclassic predict FOLDER TEXTS`, or",
        "`tlclassic.load(FOLDER).predict(texts)`.",
    ],
    "rows": "texts",
    "labels": "labels",
}
_OF_TOKENS = {
    "title": "An encoder fine-tuned on tagged tokens",
    "use": [
        "Written by `tlclassic tag finetune`; it runs without torch. Train a tagger on the states of its tokens:",
        "`tlclassic tag train TRAIN --encoder FOLDER`, or `TokenTagger(states=EncoderStates(FOLDER))`.",
        "`token_heads.tlc` holds the linear heads that it was trained with, on the mean state of a token's pieces.",
    ],
    "rows": "sentences",
    "labels": "tags",
}


def licence_of(source: Path) -> str | None:
    """What the base's own card says in its front matter (``license:``), None where it says nothing."""
    try:
        text = (source / "README.md").read_text("utf-8", "replace")[:65536]
    except OSError:
        return None
    front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^license:\s*(\S.*)$", front[1], re.MULTILINE) if front else None
    return found[1].strip() if found else None


def training_card(facts: dict[str, Any]) -> str:
    """Markdown from what ``training.json`` says."""
    licence = facts["base"]["license"]
    words: dict[str, Any] = _OF_TOKENS if facts.get("kind") == "tokens" else _OF_TEXTS
    rows = words["rows"]
    front = f"---\nlicense: {licence}\n---\n\n" if licence else ""
    lines = [
        f"# {words['title']}",
        "",
        *words["use"],
        "",
        "## Made from",
        "",
        f"- Base: {facts['base']['name']} (weights SHA-256 `{facts['base']['sha256']}`).",
        f"- Licence of the base, as its card says: {licence or 'its card names none; ask before you pass this on'}.",
        f"- Data: {facts['rows']:,} {rows} (SHA-256 of {rows} and {words['labels']} `{facts['data_sha256']}`).",
        "",
        "## Tasks",
        "",
        *[_task_line(task) for task in facts["tasks"]],
        "",
        "## Settings",
        "",
        *([f"- Contrastive tuning on pairs, then logistic regression ({facts['pairs'] or 'default number of'} pairs).",
           ""] if facts.get("contrastive") else []),
        "| option | value |",
        "|---|---|",
        *[f"| {name} | `{value}` |" for name, value in facts["options"].items()],
        "",
        "## On dev",
        "",
        *_dev_lines(facts),
        "",
        "## Graphs",
        "",
        *_graph_lines(facts),
        "",
        "## Limits",
        "",
        f"Where dev chose the state that was kept, its figures flatter; measure on {rows} that nothing was chosen by.",
        f"It knows the classes above and no other, and the language and kind of its training {rows}; whatever the base",
        "learned wrongly, it may repeat.",
        "",
    ]  # fmt: skip
    return front + "\n".join(lines)


def _task_line(task: dict[str, Any]) -> str:
    names = ", ".join(str(name) for name in task["classes"][:20])
    more = f" and {len(task['classes']) - 20} more" if len(task["classes"]) > 20 else ""
    kind = "several labels a text" if task["multilabel"] else "one label a text"
    if "scheme" in task:
        kind = "a tag a token" if task["scheme"] == "none" else f"a tag a token ({task['scheme']})"
    return f"- {task['name']}: {kind}, {task['labelled']:,} labelled; {len(task['classes'])} classes: {names}{more}."


def _dev_lines(facts: dict[str, Any]) -> list[str]:
    if facts["best"] is None:
        return ["No dev part was given."]
    lines = [f"- {name}: {value:.4f}" for name, value in facts["best"].items() if name.startswith("dev_")]
    for task, own in (facts.get("scores") or {}).items():
        lines.append(f"- {task}, by its head in ONNX: {own['metric'].replace('_', ' ')} {own['score']:.4f}")
    return lines


def _graph_lines(facts: dict[str, Any]) -> list[str]:
    parity, lines = facts["parity"], []
    lines.append(
        f"- `onnx/model.onnx`: logits within {parity['max_difference']:.2g} of torch and "
        f"{parity['agreement']:.2%} of the answers equal, on "
        f"{parity.get('texts', parity.get('sentences')):,} {'texts' if 'texts' in parity else 'sentences'}."
    )
    if facts["int8"] is not None:
        own = facts["int8"]
        lines.append(
            f"- `onnx/model_qint8.onnx`: {own['agreement']:.2%} of the answers equal to fp32, "
            f"{own['speedup']:.2f} x as fast on the machine that made it; "
            f"{'preferred' if own['preferred'] else 'not preferred'}."
        )
        lines += [f"  - {reason}" for reason in own["reasons"]]
    return lines
