"""Readers of tokens and tags."""

from __future__ import annotations

import gzip

import pytest

from tlclassic.data import load_tokens
from tlclassic.errors import DataFormatError, InvalidParameterError


def _file(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_conll_with_named_columns(tmp_path):
    path = _file(tmp_path, "a.conll", "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\n. . O O\n")
    data = load_tokens(path, names=["token", "pos", "chunk", "ner"], columns=["ner", "pos"])
    assert data.sentences == [["EU", "rejects"], ["."]]
    assert data.columns == {"ner": [["B-ORG", "O"], ["O"]], "pos": [["NNP", "VBZ"], ["."]]}
    assert data.lines == [3, 7]
    assert load_tokens(path).columns == {"tags": [["B-ORG", "O"], ["O"]]}
    assert load_tokens(path, columns=[]).columns == {}


def test_conll_comments_and_blanks_at_the_end_are_no_tokens(tmp_path):
    text = (
        "# made by hand, for a test\n\n# intent = go now\nAnna B-PER  \n10\u00a0000 O \n\n"
        "#begin document (x); part 000\n#tag O\n# O\n\n# O\n\n#tag B-X\n"
    )
    data = load_tokens(_file(tmp_path, "a.conll", text))
    assert data.sentences == [["Anna", "10\u00a0000"], ["#tag", "#"], ["#"], ["#tag"]]
    assert data.columns["tags"] == [["B-PER", "O"], ["O", "O"], ["O"], ["B-X"]]
    assert data.lines == [4, 8, 11, 13]
    tabs = load_tokens(_file(tmp_path, "b.conll", "# id 1\tdomain=en\n# two words\nAnna\tB-PER\t\n#\tO\n"))
    assert (tabs.sentences, tabs.columns["tags"]) == ([["Anna", "#"]], [["B-PER", "O"]])


def test_conllu_leaves_out_what_is_no_word(tmp_path):
    rows = [
        "# text = vámonos",
        "1-2\tvámonos\t_\t_",
        "1\tvamos\tir\tVERB",
        "2\tnos\tnosotros\tPRON",
        "2.1\tx\tx\tX",
        "",
    ]
    packed = tmp_path / "a.conllu.gz"
    packed.write_bytes(gzip.compress("\n".join(rows).encode()))
    data = load_tokens(packed, columns=["upos", "lemma"])
    assert data.sentences == [["vamos", "nos"]]
    assert data.columns == {"upos": [["VERB", "PRON"]], "lemma": [["ir", "nosotros"]]}


def test_jsonl_has_tags_and_labels(tmp_path):
    path = _file(
        tmp_path,
        "a.jsonl",
        '{"tokens": ["hi", "you"], "slots": ["O", "O"], "intent": "x"}\n{"tokens": [], "intent": "y"}\n',
    )
    data = load_tokens(path, columns=["slots", "intent"])
    assert data.columns == {"slots": [["O", "O"], None], "intent": ["x", "y"]}


def test_docbin(tmp_path):
    spacy = pytest.importorskip("spacy")
    from spacy.tokens import Doc, DocBin

    doc = Doc(
        spacy.blank("en").vocab, ["In", "New", "York"], ents=["O", "B-LOC", "I-LOC"], pos=["ADP", "PROPN", "PROPN"]
    )
    DocBin(docs=[doc]).to_disk(tmp_path / "a.spacy")
    data = load_tokens(tmp_path / "a.spacy", columns=["ner", "pos", "tag"])
    assert data.sentences == [["In", "New", "York"]]
    assert data.columns == {"ner": [["O", "B-LOC", "I-LOC"]], "pos": [["ADP", "PROPN", "PROPN"]], "tag": [None]}
    (tmp_path / "bad.spacy").write_bytes(b"no")
    with pytest.raises(DataFormatError, match="cannot be read as a DocBin"):
        load_tokens(tmp_path / "bad.spacy")


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.conll", "a O\nb\n", {}, "a.conll:2: 1 columns, expected at least 2"),
        ("a.conll", "a O\nNew York B-LOC\n", {}, "a.conll:2: 3 columns, expected 2: 'New York B-LOC'"),
        ("a.conll", "a X O\n", {"columns": ["pos"]}, "no column 'pos'; the columns are: 'token', 'tags'"),
        ("a.conll", "\n\n", {}, "there is no sentence in the file"),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}\n', {}, "a.jsonl:1: 'tags' holds 0 tags for 1 tokens"),
        ("a.jsonl", '{"tokens": "a b", "tags": []}\n', {}, "'tokens' must be a list of strings"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, name, text, options, message):
    with pytest.raises(DataFormatError, match=message):
        load_tokens(_file(tmp_path, name, text), **options)


def test_an_unknown_name_needs_a_format(tmp_path):
    path = _file(tmp_path, "a.data", "a\tO\n")
    with pytest.raises(InvalidParameterError, match="format must be given"):
        load_tokens(path)
    assert load_tokens(path, format="conll").sentences == [["a"]]
    with pytest.raises(InvalidParameterError, match="columns must be a list of names"):
        load_tokens(path, columns="tags")
