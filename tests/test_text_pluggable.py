"""Tokenisers of other libraries behind the same two methods."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tlclassic.errors import InvalidParameterError, MissingExtraError
from tlclassic.kernels import load
from tlclassic.text import (
    CallableTokenizer,
    HuggingFaceTokenizer,
    SpacyTokenizer,
    Tokenizer,
    as_tokenizer,
    tokenizer_from_dict,
)


def make_index(words: list[str]) -> Any:
    kernel = load("index")
    raw = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    blob = np.frombuffer(b"".join(raw), dtype=np.uint8)
    n_slots = 1 << (2 * len(words) + 1).bit_length()
    return kernel.WordIndex(kernel.build_slots(blob, offsets, n_slots)[0], blob, offsets)


def wordpiece() -> str:
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "play": 3, "##ing": 4, "we": 5, "[PAD]": 6}
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    backend.enable_truncation(2)
    backend.enable_padding(length=8)
    return str(backend.to_str())


def test_a_function_is_a_tokenizer() -> None:
    tokenizer = CallableTokenizer(str.split)
    assert tokenizer("As it  stands.") == ["As", "it", "stands."]
    found = tokenizer.lookup(["As É", "", "it"], make_index(["as", "it", "é"]), lower_fallback=True, unknown=True)
    assert found.rows.tolist() == [0, 2, 1]
    assert found.rows.dtype == np.int32
    assert found.indptr.tolist() == [0, 2, 2, 3]
    found = tokenizer.lookup(["As x", "it"], make_index(["as", "it"]), unknown=True)
    assert (found.unknown_at.tolist(), found.unknown_words) == ([0, 1], ["As", "x"])
    assert tokenizer.lookup([], make_index(["as"])).indptr.tolist() == [0]


def test_a_function_may_be_a_generator() -> None:
    assert CallableTokenizer(lambda text: (part for part in text.split("-")))("a-b") == ["a", "b"]


def test_a_function_cannot_be_saved() -> None:
    with pytest.raises(
        InvalidParameterError, match=r"tokenizer must be one that can be saved; got the function str\.split"
    ):
        CallableTokenizer(str.split).to_dict()
    with pytest.raises(InvalidParameterError, match="that can be saved"):
        CallableTokenizer.from_dict({"type": "function"})


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda text: text, "must give a list of strings for a text; got 'some text' of type str"),
        (lambda text: None, "got None of type NoneType"),
        (lambda text: [1], "must give strings; got 1 of type int for 'some text'"),
    ],
)
def test_a_function_that_gives_something_else_is_refused(function: Any, match: str) -> None:
    with pytest.raises(InvalidParameterError, match=match):
        CallableTokenizer(function)("some text")


def test_hugging_face_without_padding_truncation_or_special_tokens(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(wordpiece(), encoding="utf-8")
    tokenizer = HuggingFaceTokenizer(tmp_path)
    assert tokenizer == HuggingFaceTokenizer(tmp_path / "tokenizer.json")
    assert tokenizer("we playing we zap") == ["we", "play", "##ing", "we", "[UNK]"]
    found = tokenizer.lookup(["we playing", "zap", ""], make_index(["[UNK]", "play", "we"]), unknown=True)
    assert found.rows.tolist() == [2, 1, -1, -1]
    assert found.indptr.tolist() == [0, 3, 4, 4]
    assert found.unknown_words == ["##ing", "[UNK]"]
    assert tokenizer.unknown_token == "[UNK]"
    assert tokenizer("we\ud800") == ["we", "[UNK]"]


def test_hugging_face_state_holds_the_whole_tokenizer() -> None:
    tokenizer = HuggingFaceTokenizer.from_json(wordpiece())
    again = tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again == tokenizer
    assert again.tokenize("playing") == ["play", "##ing"]
    assert pickle.loads(pickle.dumps(tokenizer)) == copy.deepcopy(tokenizer) == tokenizer
    assert "WordPiece" in repr(tokenizer)


def test_hugging_face_refuses_other_files(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")
    with pytest.raises(InvalidParameterError, match=r"path must be that of a tokenizer\.json; got .*tokenizer\.json"):
        HuggingFaceTokenizer(file)
    with pytest.raises(FileNotFoundError):
        HuggingFaceTokenizer(tmp_path / "absent.json")


def test_spacy_rules_of_a_language() -> None:
    spacy = pytest.importorskip("spacy")
    tokenizer = SpacyTokenizer(spacy.blank("en"))
    assert tokenizer("Don't  go,\n please!") == ["Do", "n't", "go", ",", "please", "!"]
    state = tokenizer.to_dict()
    assert state == {"type": "spacy", "language": "en", "package": None}
    again = tokenizer_from_dict(json.loads(json.dumps(state)))
    assert again.tokenize("Don't") == ["Do", "n't"]
    assert SpacyTokenizer("de")("z.B. so") == ["z.B.", "so"]
    assert tokenizer.lookup(["Don't zap"], make_index(["do", "n't"]), lower_fallback=True).rows.tolist() == [0, 1, -1]


def test_a_customised_spacy_tokenizer_cannot_be_saved() -> None:
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("en")
    nlp.tokenizer.add_special_case("dunno", [{"ORTH": "du"}, {"ORTH": "nno"}])
    assert SpacyTokenizer(nlp)("dunno") == ["du", "nno"]
    with pytest.raises(InvalidParameterError, match=r"differs from that of its language \('en'\)"):
        SpacyTokenizer(nlp).to_dict()
    nlp = spacy.blank("en")
    nlp.tokenizer = lambda text: spacy.tokens.Doc(nlp.vocab, text.split())
    with pytest.raises(InvalidParameterError, match="can be saved"):
        SpacyTokenizer(nlp).to_dict()


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"type": "spacy", "language": "../x", "package": None}, "language must be a code such as 'en'; got '../x'"),
        ({"type": "spacy", "language": "qqq", "package": None}, "language must be one that spaCy knows"),
        ({"type": "spacy", "language": "en", "package": "os"}, "package must be an installed spaCy pipeline; got 'os'"),
        ({"type": "spacy", "language": "en", "package": 3}, "package must be an installed spaCy pipeline; got 3"),
        ({"type": "spacy", "language": "en"}, "state must have the keys"),
        ({"type": "huggingface", "json": "{}"}, "must be that of a tokenizer.json"),
        ({"type": "function"}, "state must have a type out of"),
        ({}, "state must have a type out of"),
        ("words", "state must have a type out of"),
        ({"type": ["words"]}, "state must have a type out of"),
    ],
)
def test_bad_states_are_refused(state: Any, match: str) -> None:
    pytest.importorskip("spacy")
    pytest.importorskip("tokenizers")
    with pytest.raises(InvalidParameterError, match=match):
        tokenizer_from_dict(state)


def test_as_tokenizer() -> None:
    words = Tokenizer(case="keep")
    assert as_tokenizer(words) is words
    assert as_tokenizer(str.split) == CallableTokenizer(str.split)
    assert as_tokenizer(as_tokenizer(str.split)) == CallableTokenizer(str.split)
    assert tokenizer_from_dict(words.to_dict()) == words
    for wrong in (None, "words", 3, Tokenizer, str):
        with pytest.raises(InvalidParameterError, match="tokenizer must be a tlclassic tokenizer, a function"):
            as_tokenizer(wrong)


def test_as_tokenizer_knows_objects_of_other_libraries() -> None:
    spacy = pytest.importorskip("spacy")
    tokenizers = pytest.importorskip("tokenizers")
    assert isinstance(as_tokenizer(spacy.blank("en")), SpacyTokenizer)
    backend = tokenizers.Tokenizer.from_str(wordpiece())
    assert as_tokenizer(backend).tokenize("playing we we") == ["play", "##ing", "we", "we"]
    assert backend.truncation is not None


def test_missing_libraries_are_named_with_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlclassic._compat.is_installed", lambda module: False)
    with pytest.raises(MissingExtraError, match=r"pip install 'tlclassic\[spacy\]'"):
        SpacyTokenizer("en")
    with pytest.raises(MissingExtraError, match=r"pip install 'tlclassic\[onnx\]'"):
        HuggingFaceTokenizer.from_json("{}")
