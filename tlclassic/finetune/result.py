"""The folder of a fine-tuned encoder: graphs, heads, settings, curves and card; checked before it appears."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import save_file

from tlclassic._validate import check_texts
from tlclassic.encoders import OnnxEncoder
from tlclassic.encoders.check import PREFERENCE_NAME, CheckReport, check
from tlclassic.encoders.quantize import QUANTIZED_NAME, quantize
from tlclassic.errors import EncoderFormatError
from tlclassic.finetune.batches import TextTokenizer, sorted_batches
from tlclassic.finetune.card import licence_of, training_card
from tlclassic.finetune.curves import learning_curves
from tlclassic.finetune.export import copy_settings, ensure_tokenizer, export_module, inputs_of
from tlclassic.finetune.folders import TRAINING_FILE
from tlclassic.finetune.frozen import tensors
from tlclassic.finetune.layout import Layout
from tlclassic.finetune.losses import scores_of
from tlclassic.finetune.options import FineTuneOptions
from tlclassic.finetune.task_graph import export_tasks, head_layers
from tlclassic.finetune.tasks import Task, read_held_out
from tlclassic.finetune.thresholds import tune_thresholds
from tlclassic.finetune.trainer import Trained
from tlclassic.heads.encoder_heads import HEADS_FILE, Heads, HeadTask, read_heads, write_heads

__all__ = [
    "GRAPH", "FineTuned", "agreement_of", "compared", "facts_of", "judge_int8", "parity_of", "write_encoder",
    "write_heads_of", "write_json", "write_result",
]  # fmt: skip

GRAPH = "onnx/model.onnx"
#: Largest difference of a logit that float arithmetic in another order explains, as a share of the largest logit.
TOLERANCE = 1e-3
_AGREEMENT = 0.99
_COMPARED = 512
_TOKENS = 4096
#: int8 may lose so much dev accuracy, or change so many answers where there is no dev.
_MAX_LOSS, _MIN_SPEEDUP = 0.005, 1.05


@dataclass(frozen=True)
class FineTuned:
    """What :func:`tlclassic.finetune.fine_tune` and its like give.

    Attributes
    ----------
    path : Path
        The folder; ``tlclassic.load(path)`` opens it, where heads are of texts.
    history : list of dict
        One entry an evaluation.
    best : dict or None
        The entry that was kept, where there is dev.
    parity : dict
        ``texts``, ``max_difference`` of logits and ``agreement`` of answers, ONNX against torch.
    int8 : dict or None
        ``agreement`` with fp32, ``speedup``, ``preferred`` and ``reasons``.
    resumed : int or None
        Steps that an earlier run had done.
    scores : dict or None
        Of ``fine_tune_tokens`` with dev: task → ``score``, its ``metric`` and ``accuracy``, of the heads' likeliest
        tags.
    """

    path: Path
    history: list[dict[str, Any]]
    best: dict[str, Any] | None
    parity: dict[str, Any]
    int8: dict[str, Any] | None
    resumed: int | None
    scores: dict[str, dict[str, Any]] | None = None


def write_result(
    layout: Layout,
    made: Path,
    target: Path,
    trained: Trained,
    options: FineTuneOptions,
    *,
    texts: Sequence[str],
    dev: tuple[Sequence[str], Any] | None,
    int8: bool,
    weights: bool,
    said: Mapping[str, Any],
) -> FineTuned:
    """Write and check the folder ``made`` of a trained model, which is to take the place of ``target``.

    Raises
    ------
    EncoderFormatError
        Where the graph's logits are not torch's.
    """
    sample = compared(check_texts(dev[0] if dev is not None and len(dev[0]) else texts))
    write_encoder(layout, made, trained, options, weights)
    write_heads_of(made / HEADS_FILE, trained, options, said["columns"])
    parity = _parity(layout, made, trained, options, sample)
    quantized = _quantized(made, trained, sample, dev, options.threads) if int8 else None
    if dev is not None:
        tune_thresholds(made, check_texts(dev[0]), dev[1], threads=options.threads)
    facts = facts_of(layout.root, trained, options, len(texts), parity, quantized, said)
    write_json(made / TRAINING_FILE, facts)
    (made / "README.md").write_text(training_card(facts), "utf-8")
    (made / "curves.svg").write_text(learning_curves(trained.history), "utf-8")
    return FineTuned(target, trained.history, trained.best, parity, quantized, said["resumed_at_step"])


def compared(items: Sequence[Any]) -> list[Any]:
    """At most 512 of the items, spread over all."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(_COMPARED, len(items))).astype(int))]


def write_encoder(layout: Layout, made: Path, trained: Trained, options: FineTuneOptions, weights: bool) -> None:
    """Graph, tokenizer and settings of the base; modules up to the pooling, since the heads take what it gives."""
    copy_settings(layout.root, layout.transformer, made)
    ensure_tokenizer(transformers, layout.transformer, made)
    for entry in [*made.iterdir()]:
        if entry.is_dir():
            shutil.rmtree(entry)
    pooling, width = trained.model.pooling, trained.model.backbone.config.hidden_size
    modes = ("mean_tokens", "cls_token", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    named = {f"pooling_mode_{mode}": mode.removesuffix("_tokens").removesuffix("_token") == pooling for mode in modes}
    (made / "onnx").mkdir()
    kinds = [("", "Transformer")]
    if trained.model.task_pooling is None:
        (made / "1_Pooling").mkdir()
        write_json(made / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **named})
        kinds.append(("1_Pooling", "Pooling"))
    write_json(
        made / "modules.json",
        [{"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
         for place, (path, kind) in enumerate(kinds)],
    )  # fmt: skip
    length = layout.length(options.max_length)
    write_json(made / "sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    # Its prompts were not trained with, and a default one would be put before every text.
    (made / "config_sentence_transformers.json").unlink(missing_ok=True)
    backbone = trained.model.cpu().backbone
    if trained.model.task_pooling is None:
        export_module(backbone, made / GRAPH, inputs=inputs_of(backbone))
    else:
        export_tasks(trained.model, made / GRAPH)
    if weights:
        state = {name: value.detach().clone().contiguous() for name, value in backbone.state_dict().items()}
        save_file(state, made / "model.safetensors", metadata={"format": "pt"})


def write_heads_of(path: Path, trained: Trained, options: FineTuneOptions, columns: Mapping[str, Any]) -> None:
    """Write the heads of all tasks into one file."""
    tasks = [
        HeadTask(
            name=task.name,
            classes=task.classes,
            layers=head_layers(trained.model, place),
            multilabel=task.multilabel,
            activation=options.activation if len(head.layers) > 1 else None,
        )
        for place, (task, head) in enumerate(zip(trained.tasks, trained.model.heads, strict=True))
    ]
    write_heads(path, tasks, {"task": dict(columns)})


def _torch_logits(layout: Layout, trained: Trained, options: FineTuneOptions, texts: Sequence[str]) -> Any:
    tokenizer = TextTokenizer(layout, options.max_length)
    tokens = tokenizer(texts)
    found = {task.name: np.empty((len(texts), len(task.classes)), np.float32) for task in trained.tasks}
    trained.model.eval()
    with torch.inference_mode():
        for rows in sorted_batches(tokens.lengths, _TOKENS):
            for name, logits in trained.model(*tensors(tokens, tokenizer.pad, rows, trained.model)).items():
                found[name][rows] = logits.numpy()
    return found


def _onnx_logits(made: Path, file: str, texts: Sequence[str], threads: int | None) -> dict[str, NDArray[np.float64]]:
    heads: Heads = read_heads(made / HEADS_FILE)
    vectors = OnnxEncoder(made, file=file, threads=threads).transform(list(texts))
    return {task.name: task.logits(vectors) for task in heads}


def agreement_of(first: Mapping[str, Any], second: Mapping[str, Any], tasks: Sequence[Task]) -> float:
    """Share of answers that are equal, over all tasks; logits by the names of the tasks."""
    equal = [
        ((first[task.name] > 0) == (second[task.name] > 0)).mean()
        if task.multilabel
        else (first[task.name].argmax(axis=1) == second[task.name].argmax(axis=1)).mean()
        for task in tasks
    ]
    return float(np.mean(equal))


def _parity(
    layout: Layout, made: Path, trained: Trained, options: FineTuneOptions, texts: Sequence[str]
) -> dict[str, Any]:
    expected = _torch_logits(layout, trained, options, texts)
    got = _onnx_logits(made, GRAPH, texts, options.threads)
    return {"texts": len(texts), **parity_of(expected, got, trained.tasks, layout.root)}


def parity_of(
    expected: Mapping[str, Any], got: Mapping[str, Any], tasks: Sequence[Task], source: Path
) -> dict[str, float]:
    """``max_difference`` of logits and ``agreement`` of answers.

    Raises
    ------
    EncoderFormatError
        Where they are further apart than float arithmetic in another order explains.
    """
    difference = max(float(np.abs(got[name] - expected[name]).max()) for name in expected)
    scale = max(1.0, *(float(np.abs(value).max()) for value in expected.values()))
    agreement = agreement_of(expected, got, tasks)
    if not (difference <= TOLERANCE * scale and agreement >= _AGREEMENT):
        raise EncoderFormatError(
            f"the ONNX graph's logits differ from torch's by up to {difference:.2g} (answers equal: {agreement:.2%})",
            path=source, remedy="This kind of encoder cannot be exported faithfully; choose another",
        )  # fmt: skip
    return {"max_difference": difference, "agreement": agreement}


def _quantized(
    made: Path, trained: Trained, sample: Sequence[str], dev: tuple[Sequence[str], Any] | None, threads: int | None
) -> dict[str, Any]:
    """int8 beside fp32: preferred where it is faster and loses next to nothing; the choice is kept in the folder."""
    quantize(made)
    report = check(made, list(sample), threads=threads, repeats=3, write=False)
    texts = sample if dev is None else check_texts(dev[0])
    logits = {file: _onnx_logits(made, file, texts, threads) for file in (GRAPH, QUANTIZED_NAME)}
    agreement = agreement_of(logits[GRAPH], logits[QUANTIZED_NAME], trained.tasks)
    scores = None
    if dev is not None:
        scores = tuple(_accuracy(trained.tasks, own, dev[1], len(texts)) for own in logits.values())
    return judge_int8(made, report, agreement, scores, "accuracy")


def judge_int8(
    made: Path, report: CheckReport, agreement: float, scores: tuple[float, ...] | None, metric: str
) -> dict[str, Any]:
    """Keep in the folder which graph is preferred, and say why.

    Parameters
    ----------
    made : Path
    report : CheckReport
        By which speed is told.
    agreement : float
        Share of answers that are equal with int8 and fp32; the rule without dev.
    scores : tuple of float, optional
        On dev, of fp32 and of int8; the rule with dev.
    metric : str
        What they are.
    """
    result = {"agreement": agreement, "speedup": report.speedup, "cosine_mean": report.cosine_mean}
    if scores is None:
        rules = [(agreement >= 1 - _MAX_LOSS, f"{agreement:.2%} of the answers equal, {1 - _MAX_LOSS:.1%} wanted")]
    else:
        fp32, own = scores
        result |= {f"fp32_dev_{metric}": fp32, f"int8_dev_{metric}": own}
        rules = [(fp32 - own <= _MAX_LOSS, f"dev {metric} {own:.4f} with int8, {fp32:.4f} fp32")]
    rules.append((report.speedup >= _MIN_SPEEDUP, f"int8 is {report.speedup:.2f} x as fast, {_MIN_SPEEDUP:g} x wanted"))
    preferred = all(holds for holds, _ in rules)
    reasons = [f"{'yes' if holds else 'no'}: {text}" for holds, text in rules]
    checked = {**report.as_dict(), "reasons": reasons}
    checked.pop("prefer")
    content = {"format": 1, "prefer": QUANTIZED_NAME if preferred else GRAPH, "checked": checked}
    write_json(made / PREFERENCE_NAME, content)
    return {**result, "preferred": preferred, "reasons": reasons}


def _accuracy(tasks: Sequence[Task], logits: Mapping[str, Any], labels: Any, rows: int) -> float:
    held_out = read_held_out(labels, rows, tasks)
    return float(np.mean([scores_of(task, logits[task.name].astype(np.float32))["accuracy"] for task in held_out]))


def facts_of(
    source: Path, trained: Trained, options: FineTuneOptions, rows: int, parity: Any, int8: Any, said: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``training.json`` says."""
    from tlclassic._version import __version__

    return {
        "format": 1,
        "tlclassic": __version__,
        "torch": torch.__version__,
        "base": {"name": source.resolve().name, "license": licence_of(source), "sha256": said["base_sha256"]},
        "rows": rows,
        "tasks": [
            {"name": task.name, "classes": task.classes.tolist(), "multilabel": task.multilabel,
             "labelled": int(task.labelled.sum())}
            for task in trained.tasks
        ],
        "options": options.to_json(),
        "history": trained.history,
        "best": trained.best,
        "parity": parity,
        "int8": int8,
        **{name: said[name] for name in ("data_sha256", "contrastive", "pairs", "resumed_at_step") if name in said},
    }  # fmt: skip


def write_json(path: Path, value: Any) -> None:
    """Write something as JSON that people can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n", "utf-8")
