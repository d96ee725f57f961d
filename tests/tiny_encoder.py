"""A BERT-like encoder small enough to be made in a test: graph, tokenizer and the files beside them. Needs no torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

TEXT = """
the a my is was not where when why card parcel bill charged twice late lost refund never came good bad great poor film
plot fine help please thanks account money bank phone order cancel i you it to of and for in on with
"""
WORDS = tuple(TEXT.split())
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*(chr(c) for c in range(97, 123)), *(f"##{chr(c)}" for c in range(97, 123)), *".,!?'-0123456789"]


def make_tiny_encoder(
    folder,
    *,
    dim=16,
    layers=1,
    seed=0,
    output="hidden",
    labels=("negative", "positive"),
    opset=17,
    graph="onnx/model.onnx",
    max_length=64,
    normalize=True,
    pooling="mean",
    token_types=True,
    words=WORDS,
):
    """Write an encoder's folder and give back its path; ``output`` is "hidden", "pooled" or "logits"."""
    folder = Path(folder)
    vocabulary = [*SPECIAL, *words, *PIECES]
    (folder / graph).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(len(vocabulary), dim, layers, seed, output, len(labels), opset, token_types), folder / graph)
    _tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    config = {"model_type": "bert", "hidden_size": dim, "max_position_embeddings": 128, "pad_token_id": 0}
    if output == "logits":
        config |= {"id2label": dict(enumerate(labels)), "architectures": ["BertForSequenceClassification"]}
    _write(folder / "config.json", config)
    _write(folder / "tokenizer_config.json", {"model_max_length": 128, "tokenizer_class": "BertTokenizer"})
    if output == "hidden":
        kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), *([("2_Normalize", "Normalize")] if normalize else [])]
        _write(
            folder / "modules.json",
            [
                {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for i, (path, kind) in enumerate(kinds)
            ],
        )
        key = {"cls": "cls_token", "lasttoken": "lasttoken"}.get(pooling, f"{pooling}_tokens")
        _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": dim, f"pooling_mode_{key}": True})
        _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    return folder


def _write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _tokenizer(vocabulary):
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = ((token, vocabulary.index(token)) for token in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.BertProcessing(sep, cls)
    # As real folders carry them; both have to be switched off.
    tokenizer.enable_padding(length=128, pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(128)
    return tokenizer


class _Builder:
    """Collects the nodes and weights of a graph."""

    def __init__(self, seed):
        self.nodes, self.weights = [], []
        self.random = np.random.default_rng(seed)

    def weight(self, *shape, scale=0.3):
        return self.constant(self.random.normal(0, scale, shape).astype(np.float32))

    def constant(self, value):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def __call__(self, kind, *inputs, output=None, **attributes):
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output


def _model(vocabulary, dim, layers, seed, output, n_labels, opset, token_types):
    make = _Builder(seed)
    x = make("Gather", make.weight(vocabulary, dim, scale=1.0), "input_ids")
    if token_types:
        x = make("Add", x, make("Gather", make.weight(2, dim), "token_type_ids"))
    # Positions: the number of tokens so far, from the mask of ones; beyond 128 there are none.
    ones = make("Add", make("Mul", "input_ids", make.constant(np.int64(0))), make.constant(np.int64(1)))
    place = make("Sub", make("CumSum", ones, make.constant(np.int64(1))), make.constant(np.int64(1)))
    x = make("Add", x, make("Gather", make.weight(128, dim), place))
    mask = make("Cast", "attention_mask", to=TensorProto.FLOAT)
    away = make("Mul", make("Sub", mask, make.constant(np.float32(1))), make.constant(np.float32(1e9)))
    away = make("Unsqueeze", away, make.constant(np.array([1], dtype=np.int64)))
    for _ in range(layers):
        x = _layer(make, x, away, dim)
    outputs = {
        "hidden": ("last_hidden_state", ["batch", "tokens", dim]),
        "pooled": ("sentence_embedding", ["batch", dim]),
        "logits": ("logits", ["batch", n_labels]),
    }
    name, shape = outputs[output]
    if output == "hidden":
        make("Identity", x, output=name)
    else:
        first = make("Gather", x, make.constant(np.int64(0)), axis=1)
        make("MatMul", first, make.weight(dim, dim if output == "pooled" else n_labels), output=name)
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in names]
    result = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    body = helper.make_graph(make.nodes, "tiny", inputs, [result], make.weights)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _layer(make, x, away, dim):
    """Attention of one head, then a feed-forward layer, each added and normalised."""
    query, key, value = (make("MatMul", x, make.weight(dim, dim)) for _ in range(3))
    scores = make("MatMul", query, make("Transpose", key, perm=[0, 2, 1]))
    scores = make("Mul", scores, make.constant(np.float32(dim**-0.5)))
    mixed = make("MatMul", make("Softmax", make("Add", scores, away), axis=-1), value)
    x = _normalised(make, make("Add", x, mixed), dim)
    inner = make("Relu", make("Add", make("MatMul", x, make.weight(dim, 2 * dim)), make.weight(2 * dim)))
    return _normalised(make, make("Add", x, make("MatMul", inner, make.weight(2 * dim, dim))), dim)


def _normalised(make, x, dim):
    ones, zeros = make.constant(np.ones(dim, np.float32)), make.constant(np.zeros(dim, np.float32))
    return make("LayerNormalization", x, ones, zeros, axis=-1, epsilon=1e-12)
