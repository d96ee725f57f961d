"""From an encoder's folder and sentences of tagged tokens to the folder of an encoder whose token states tell tags."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlclassic._validate import check_choice
from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.checkpoints import digest_of
from tlclassic.finetune.folders import check_folder
from tlclassic.finetune.layout import Layout, read_layout
from tlclassic.finetune.loop import Trainer
from tlclassic.finetune.options import TokenOptions
from tlclassic.finetune.result import FineTuned
from tlclassic.finetune.running import digest_of_weights, open_run, settings_of
from tlclassic.finetune.sentences import SentenceTokenizer
from tlclassic.finetune.tag_tasks import TaggedSentences, read_tag_tasks, read_tagged, tag_scores
from tlclassic.finetune.tagged_result import write_tagged
from tlclassic.finetune.trainer import Trained, train_model

__all__ = ["fine_tune_tokens", "train_tokens"]


def fine_tune_tokens(
    source: str | os.PathLike[str],
    sentences: Sequence[Sequence[str]],
    tags: Any,
    out: str | os.PathLike[str],
    *,
    dev: tuple[Sequence[Sequence[str]], Any] | None = None,
    int8: bool = True,
    weights: bool = False,
    force: bool = False,
    resume: bool = True,
    checkpoints: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    columns: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_frozen: Callable[[int, int], None] | None = None,
    **options: Any,
) -> FineTuned:
    """Fine-tune an encoder on tagged tokens, so that its token states serve a ``TokenTagger``.

    A linear head a task takes the mean state of each token's pieces, which is what
    :class:`~tlclassic.tagging.EncoderStates` gives of the folder written; the loss is the cross-entropy of its softmax.

    Parameters
    ----------
    source : path-like
        Folder of an encoder as Hugging Face and sentence-transformers lay it out, with ``model.safetensors``.
    sentences : list of n lists of tokens
        They are joined by one space. Tokens beyond the encoder's length are left out of the loss.
    tags : list of n lists of tags, or dict
        Tags are str, int or bool. A dict names several tasks. None in the place of a sentence's tags: not known.
    out : path-like
        The new folder, which appears whole or not at all.
    dev : tuple of sentences and tags, optional
        By which the best state is told, and int8 is judged.
    int8, weights, force, resume, checkpoints, checkpoint_seconds, on_progress, on_frozen
        As of :func:`~tlclassic.finetune.fine_tune`.
    columns : mapping, optional
        Where the data were read from; kept beside the heads.
    **options
        As of :class:`~tlclassic.finetune.options.TokenOptions`: ``train``, ``epochs``, ``learning_rate`` and so on.

    Returns
    -------
    FineTuned
        With ``scores`` of dev.

    Raises
    ------
    InvalidParameterError, InputError, EncoderFormatError, MissingExtraError

    Examples
    --------
    >>> from tlclassic.finetune import fine_tune_tokens
    >>> result = fine_tune_tokens("all-MiniLM-L6-v2", sentences, tags, "encoder")  # doctest: +SKIP
    >>> from tlclassic.tagging import EncoderStates, TokenTagger
    >>> TokenTagger(states=EncoderStates("encoder")).fit(sentences, tags)  # doctest: +SKIP
    """
    for name, value in (("int8", int8), ("weights", weights), ("resume", resume)):
        check_choice(name, value, (True, False))
    settings = settings_of(TokenOptions, "fine_tune_tokens", options)
    target = Path(out)
    check_folder(target, force=force)
    layout = read_layout(source)
    layout.length(settings.max_length)
    data = read_tagged(sentences, tags)
    held_out = None if dev is None else _read_dev(*dev)
    said: dict[str, Any] = {
        "data_sha256": _digest(data),
        "base_sha256": digest_of_weights(layout.transformer),
        "columns": dict(columns or {}),
        "resumed_at_step": None,
    }
    key = {
        "kind": "tokens",
        "data": said["data_sha256"],
        "dev": None if held_out is None else _digest(held_out),
        "options": settings.to_json(),
        "source": said["base_sha256"],
    }
    run = open_run(
        target, key, settings, force=force, resume=resume, checkpoints=checkpoints, seconds=checkpoint_seconds
    )
    with run as (made, states):
        trained = train_tokens(
            layout, data, settings, dev=held_out, on_progress=on_progress, on_frozen=on_frozen, prepare=states.restore,
            on_step=states.save,
        )  # fmt: skip
        said["resumed_at_step"] = states.resumed
        return write_tagged(
            layout, made, target, trained, settings, data=data, dev=held_out, int8=int8, weights=weights, said=said
        )


def train_tokens(
    layout: Layout,
    data: TaggedSentences,
    options: TokenOptions,
    *,
    dev: TaggedSentences | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_frozen: Callable[[int, int], None] | None = None,
    prepare: Callable[[Trainer], None] | None = None,
    on_step: Callable[[Trainer], None] | None = None,
) -> Trained:
    """Fine-tune the encoder of a folder on tagged tokens, in memory; parameters as of :func:`fine_tune_tokens`.

    ``prepare`` and ``on_step`` are those of :func:`~tlclassic.finetune.trainer.train_encoder`.

    Raises
    ------
    InvalidParameterError, EncoderFormatError
    """
    tokenizer = SentenceTokenizer(layout, options.max_length)
    pieces = [tokenizer(data.sentences)]
    tasks = read_tag_tasks(data, seen=pieces[0].seen, class_weight=options.class_weight)
    dev_tasks = [] if dev is None else read_tag_tasks(dev, of=tasks)
    if dev is not None:
        pieces.append(tokenizer(dev.sentences))
    return train_model(
        layout, pieces, tasks, options, dev_tasks=dev_tasks, scores=tag_scores, on_progress=on_progress,
        on_frozen=on_frozen, prepare=prepare, on_step=on_step,
    )  # fmt: skip


def _read_dev(sentences: Any, tags: Any) -> TaggedSentences:
    try:
        return read_tagged(sentences, tags)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"dev: {error}") from None


def _digest(data: TaggedSentences) -> str:
    """SHA-256 (hex) of sentences and tags; the order of tasks counts, as their heads begin at random in turn."""
    return digest_of([data.sentences, list(data.tags.items())])
