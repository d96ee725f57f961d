"""The folder of an encoder that was fine-tuned on tagged tokens; checked before it appears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tlclassic.encoders import OnnxEncoder
from tlclassic.encoders.check import check
from tlclassic.encoders.quantize import QUANTIZED_NAME, quantize
from tlclassic.finetune.batches import sorted_batches
from tlclassic.finetune.card import training_card
from tlclassic.finetune.curves import learning_curves
from tlclassic.finetune.folders import TRAINING_FILE
from tlclassic.finetune.frozen import EVALUATION_TOKENS, TokenInputs
from tlclassic.finetune.layout import Layout
from tlclassic.finetune.options import TokenOptions
from tlclassic.finetune.result import (
    GRAPH,
    FineTuned,
    agreement_of,
    compared,
    facts_of,
    judge_int8,
    parity_of,
    write_encoder,
    write_heads_of,
    write_json,
)
from tlclassic.finetune.sentences import SentenceTokenizer
from tlclassic.finetune.tag_tasks import TaggedSentences, TagTask, read_tag_tasks, tag_scores
from tlclassic.finetune.trainer import Trained
from tlclassic.heads.encoder_heads import TOKEN_HEADS_FILE, read_heads
from tlclassic.tagging.states import EncoderStates

__all__ = ["write_tagged"]

Sentences = Sequence[Sequence[str]]


def write_tagged(
    layout: Layout,
    made: Path,
    target: Path,
    trained: Trained,
    options: TokenOptions,
    *,
    data: TaggedSentences,
    dev: TaggedSentences | None,
    int8: bool,
    weights: bool,
    said: Mapping[str, Any],
) -> FineTuned:
    """Write and check the folder ``made`` of an encoder trained on tags, which is to take the place of ``target``.

    Raises
    ------
    EncoderFormatError
        Where the logits of the graph's token states are not torch's.
    """
    sample = compared((dev or data).sentences)
    write_encoder(layout, made, trained, options, weights)
    write_heads_of(made / TOKEN_HEADS_FILE, trained, options, said["columns"])
    expected = _torch_logits(layout, trained, options, sample)
    parity = {
        "sentences": len(sample),
        "tokens": sum(map(len, sample)),
        **parity_of(expected, _onnx_logits(made, GRAPH, sample, options.threads), trained.tasks, layout.root),
    }
    scores, quantized = _judged(made, trained, sample, dev, options.threads, int8)
    facts = facts_of(layout.root, trained, options, len(data.sentences), parity, quantized, said)
    for task, own in zip(facts["tasks"], _tag_tasks(trained), strict=True):
        task["scheme"] = own.scheme
    facts |= {"kind": "tokens", "tokens": int(data.lengths.sum()), "scores": scores}
    write_json(made / TRAINING_FILE, facts)
    (made / "README.md").write_text(training_card(facts), "utf-8")
    (made / "curves.svg").write_text(learning_curves(trained.history), "utf-8")
    return FineTuned(target, trained.history, trained.best, parity, quantized, said["resumed_at_step"], scores)


def _torch_logits(layout: Layout, trained: Trained, options: TokenOptions, sentences: Sentences) -> dict[str, Any]:
    """Of every task, float32 of shape (tokens, C)."""
    inputs = TokenInputs(SentenceTokenizer(layout, options.max_length)(sentences), layout.pad)
    tokens = inputs.tokens
    found = {task.name: np.empty((tokens.n_units, len(task.classes)), np.float32) for task in trained.tasks}
    trained.model.eval()
    with torch.inference_mode():
        for rows in sorted_batches(inputs.lengths, EVALUATION_TOKENS):
            for name, logits in trained.model.logits(inputs.vectors(trained.model, rows)).items():
                found[name][tokens.units(rows)] = logits.numpy()
    return found


def _onnx_logits(made: Path, file: str, sentences: Sentences, threads: int | None) -> dict[str, NDArray[np.float64]]:
    """The same from the token states that a tagger gets of the folder."""
    states = EncoderStates(OnnxEncoder(made, file=file, threads=threads))(sentences)
    return {task.name: task.logits(np.concatenate(states)) for task in read_heads(made / TOKEN_HEADS_FILE)}


def _judged(
    made: Path, trained: Trained, sample: Sentences, dev: TaggedSentences | None, threads: int | None, int8: bool
) -> tuple[dict[str, dict[str, Any]] | None, dict[str, Any] | None]:
    """What dev says of the float graph, and int8 beside it: preferred where it is faster and loses next to nothing."""
    sentences = sample if dev is None else dev.sentences
    files = [GRAPH]
    if int8:
        quantize(made)
        files.append(QUANTIZED_NAME)
    elif dev is None:
        return None, None
    logits = [_onnx_logits(made, file, sentences, threads) for file in files]
    scores = None if dev is None else [_scores(trained, dev, own) for own in logits]
    first = None if scores is None else scores[0]
    if not int8:
        return first, None
    report = check(made, [" ".join(sentence) for sentence in sample], threads=threads, repeats=3, write=False)
    means = None if scores is None else tuple(float(np.mean([own["score"] for own in s.values()])) for s in scores)
    return first, judge_int8(made, report, agreement_of(logits[0], logits[1], trained.tasks), means, "score")


def _scores(trained: Trained, dev: TaggedSentences, logits: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for task in read_tag_tasks(dev, of=_tag_tasks(trained)):
        said = tag_scores(task, np.asarray(logits[task.name], np.float32))
        found[task.name] = {"metric": task.metric, "score": said["score"], "accuracy": said["accuracy"]}
    return found


def _tag_tasks(trained: Trained) -> list[TagTask]:
    return [task for task in trained.tasks if isinstance(task, TagTask)]
