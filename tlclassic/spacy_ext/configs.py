"""Complete configs for ``spacy train``: several tasks on one backbone of tlclassic."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tlclassic._compat import require
from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import EncoderFormatError, InputError, InvalidParameterError, VectorFormatError
from tlclassic.text import SpacyTokenizer

require("spacy", purpose="A config for spaCy")
from tlclassic.spacy_ext.masked import PARSER_SCORER  # noqa: E402

__all__ = ["BACKBONES", "TASKS", "init_config"]

TASKS = ("textcat", "textcat_multilabel", "ner", "parser", "tagger", "morphologizer", "senter")
BACKBONES = ("static", "onnx")
#: Batches grow from the first to the second number of words in training, as in spaCy's own quickstart.
_WORDS = (100, 1000)


def init_config(
    tasks: Sequence[str],
    backbone: str = "static",
    *,
    lang: str = "en",
    vectors: str | os.PathLike[str] = "base-en",
    encoder: str | os.PathLike[str] | None = None,
    file: str = "auto",
    store: str = "embed",
    width: int = 96,
    depth: int | None = None,
    max_steps: int = 20_000,
    seed: int = 0,
) -> str:
    """A config that ``spacy train`` accepts; corpora are given as ``--paths.train`` and ``--paths.dev``.

    Parameters
    ----------
    tasks : sequence of str
        Of "textcat", "textcat_multilabel", "ner", "parser", "tagger", "morphologizer", "senter"; they share the
        backbone and are trained together, also from corpora that each have only some of the annotations.
    backbone : {"static", "onnx"}
    lang : str
    vectors : str or path-like
        For "static": the name of packaged vectors, or word vectors in any format.
    encoder : path-like
        For "onnx": the encoder's folder.
    file : str
        For "onnx": "fp32", "int8", "auto" or a path in the folder.
    store : {"embed", "refer"}
        Whether the trained pipeline holds vectors or encoder.
    width : int
    depth : int, optional
        Layers over windows of tokens on top; by default 4 for "static", 2 for "onnx".
    max_steps : int
    seed : int

    Raises
    ------
    InvalidParameterError
        For a task that is unknown or given twice, a language that spaCy does not know, ``vectors`` or an ``encoder``
        that cannot be opened.
    """
    spacy = require("spacy", purpose="A config for spaCy")
    from thinc.api import Config

    from tlclassic.spacy_ext.registering import register

    register()
    _check(tasks, backbone, encoder)
    SpacyTokenizer(lang)  # refuses a language that spaCy does not know
    check_integer("width", width, low=1)
    check_integer("max_steps", max_steps, low=1)
    # Now, and not when `spacy train` has read its corpora.
    if backbone == "static":
        _check_vectors(vectors)
    else:
        _check_encoder(encoder, file)
    model: dict[str, Any] = {"store": store, "width": width}
    if backbone == "static":
        model |= {"@architectures": "tlclassic.StaticVectors.v1", "vectors": os.fspath(vectors)}
    else:
        model |= {"@architectures": "tlclassic.OnnxTok2Vec.v1", "model": os.fspath(encoder or ""), "file": file}
    model["depth"] = (4 if backbone == "static" else 2) if depth is None else depth
    components = {"tok2vec": {"factory": "tok2vec", "model": model}, **{name: _component(name) for name in tasks}}
    partial = {
        "paths": {"train": None, "dev": None},
        "system": {"seed": seed},
        "nlp": {"lang": lang, "pipeline": list(components), "batch_size": 256},
        "components": components,
        "corpora": {name: _corpus(name) for name in ("train", "dev")},
        "training": _training(max_steps),
    }
    # spaCy fills in all that is not said, so that the file is complete and says what it does.
    filled = spacy.util.load_model_from_config(Config(partial), auto_fill=True).config
    text: str = filled.to_str()
    return text + "\n"


def _check(tasks: Sequence[str], backbone: str, encoder: Any) -> None:
    check_choice("backbone", backbone, BACKBONES)
    if isinstance(tasks, str) or not tasks or len(set(tasks)) != len(tasks):
        raise InvalidParameterError(f"tasks must be a list of different tasks; got {tasks!r}.")
    for task in tasks:
        check_choice("tasks", task, TASKS)
    if backbone == "onnx" and encoder is None:
        raise InvalidParameterError(
            "encoder must be the folder of an ONNX encoder for the backbone 'onnx'; got none. Make one with: tlclassic "
            "encoder export FOLDER OUT"
        )


def _check_vectors(vectors: Any) -> None:
    from tlclassic.vectors import load_vectors

    try:
        load_vectors(vectors, limit=1)
    except (InputError, InvalidParameterError, VectorFormatError, OSError) as error:
        raise InvalidParameterError(
            f"vectors must be the name of packaged vectors or a file or folder of word vectors; got {str(vectors)!r}: "
            f"{error}"
        ) from error


def _check_encoder(encoder: Any, file: str) -> None:
    from tlclassic.spacy_ext.stored_encoder import StoredEncoder

    try:
        StoredEncoder(encoder, file=file, parameter="encoder").encoder.open()
    except EncoderFormatError as error:
        raise InvalidParameterError(
            f"encoder must be the folder of an ONNX encoder that has the graph file={file!r}; got {str(encoder)!r}: "
            f"{error}"
        ) from error


def _listener() -> dict[str, Any]:
    return {
        "@architectures": "spacy.Tok2VecListener.v1",
        "width": "${components.tok2vec.model.width}",
        "upstream": "tok2vec",
    }


def _component(task: str) -> dict[str, Any]:
    if task.startswith("textcat"):
        factory = "tlclassic_masked_textcat" if task == "textcat" else task
        # The mean alone: spaCy's other reductions refuse a document without tokens.
        model = {
            "@architectures": "spacy.TextCatReduce.v1",
            "exclusive_classes": task == "textcat",
            "use_reduce_first": False,
            "use_reduce_last": False,
            "use_reduce_max": False,
            "use_reduce_mean": True,
        }
        return {"factory": factory, "model": {**model, "tok2vec": _listener()}}
    if task in ("ner", "parser"):
        model = {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "state_type": task,
            "extra_state_tokens": False,
            "hidden_width": 64 if task == "ner" else 128,
            "maxout_pieces": 2 if task == "ner" else 3,
            "use_upper": True,
            "nO": None,
        }
        component = {"factory": task, "model": {**model, "tok2vec": _listener()}}
        return component if task == "ner" else {**component, "scorer": {"@scorers": PARSER_SCORER}}
    return {"factory": task, "model": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": _listener()}}


def _corpus(name: str) -> dict[str, Any]:
    return {"@readers": "spacy.Corpus.v1", "path": f"${{paths.{name}}}", "max_length": 0}


def _training(max_steps: int) -> dict[str, Any]:
    start, stop = _WORDS
    sizes = {"@schedules": "compounding.v1", "start": start, "stop": stop, "compound": 1.001}
    return {
        "max_steps": max_steps,
        "dropout": 0.1,
        "optimizer": {"@optimizers": "Adam.v1"},
        "batcher": {
            "@batchers": "spacy.batch_by_words.v1", "discard_oversize": False, "tolerance": 0.2, "size": sizes,
        },
    }  # fmt: skip
