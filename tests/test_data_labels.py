"""`load_dataset` and the embedded sample."""

from __future__ import annotations

import json
import re

import pyarrow
import pyarrow.parquet
import pytest

from tlclassic.data import Dataset, load_dataset, load_sample
from tlclassic.errors import DataFormatError, InvalidParameterError


@pytest.fixture
def write(tmp_path):
    def to_file(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", newline="")
        return path

    return to_file


@pytest.fixture
def jsonl(write):
    def to_file(*labels):
        return write("a.jsonl", "".join(json.dumps({"text": "t", "label": label}) + "\n" for label in labels))

    return to_file


@pytest.fixture
def parquet(tmp_path):
    def to_file(labels):
        path = tmp_path / "a.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"text": ["t"] * len(labels), "label": labels}), path)
        return path

    return to_file


def test_tsv_labels_are_strings_and_blank_ones_are_none(write):
    path = write("a.tsv", "text\tlabel\none\t1\ntwo\t\nthree\t  \nfour\t2\n")
    assert load_dataset(path) == Dataset(["one", "four"], ["1", "2"], [2, 5], n_unlabelled=2)


@pytest.mark.parametrize("labels", [["a", "b"], [1, 2], [True, False], [10**30, -1]])
def test_jsonl_label_types_survive(jsonl, labels):
    found = load_dataset(jsonl(labels[0], None, labels[1], ""))
    assert (found.labels, found.lines, found.n_unlabelled) == (labels, [1, 3], 2)
    assert [type(label) for label in found.labels] == [type(label) for label in labels]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pyarrow.array([1, None, 3], pyarrow.int8()), [1, 3]),
        (pyarrow.array([1.0, float("nan"), 3.0]), [1, 3]),
        (pyarrow.array(["a", None, "b"]).dictionary_encode(), ["a", "b"]),
        (pyarrow.array([True, None, False]), [True, False]),
        (pyarrow.array([["a", "b"], None, []]), [["a", "b"], []]),
    ],
)
def test_parquet_label_types_survive(parquet, column, expected):
    found = load_dataset(parquet(column))
    assert (found.labels, found.lines, found.n_unlabelled) == (expected, [1, 3], 1)
    assert type(found.labels[0]) is type(expected[0])


def test_lists_are_multilabel_and_an_empty_list_is_a_label(jsonl):
    found = load_dataset(jsonl(["b", "a", "b"], [], None))
    assert (found.labels, found.n_unlabelled, found.multilabel) == ([["b", "a"], []], 1, True)


def test_strings_are_split_on_request(write):
    path = write("a.tsv", "text\tlabel\none\tb, a,,b\ntwo\t\nthree\tc\n")
    found = load_dataset(path, multilabel=True)
    assert (found.labels, found.n_unlabelled, found.multilabel) == ([["b", "a"], ["c"]], 1, True)
    assert load_dataset(path, multilabel=True, separator=" ").labels == [["b,", "a,,b"], ["c"]]
    assert load_dataset(path).labels == ["b, a,,b", "c"]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a", 1], {}, r"a\.jsonl:2: labels of mixed types: integer here, line 1 has string\. Give all labels"),
        ([None, 1, True], {}, r"a\.jsonl:3: labels of mixed types: boolean here, line 2 has integer"),
        ([["a"], [1]], {}, r"a\.jsonl:2: labels of mixed types: integer here"),
        ([1.5], {}, r"a\.jsonl:1: a label of type float: 1\.5\. A label is a string, an integer or a boolean"),
        ([{"a": 1}], {}, r"a\.jsonl:1: a label of type dict"),
        ([["a"], "b"], {"multilabel": False}, r"a\.jsonl:1: a list of labels\. Pass multilabel=True"),
        (["a", ["b"]], {}, r"a\.jsonl:2: a list of labels"),
        ([["a"], 5], {}, r"a\.jsonl:2: a label that is not a list: 5"),
        ([[["a"]]], {}, r"a\.jsonl:1: a label of type list"),
        ([["a"], ["b", " "]], {}, r"a\.jsonl:2: a blank label in a list\. Remove it; an empty list says"),
        ([[None]], {}, r"a\.jsonl:1: a label of type NoneType: None"),
    ],
)
def test_labels_that_do_not_fit(jsonl, labels, options, message):
    with pytest.raises(DataFormatError, match=message):
        load_dataset(jsonl(*labels), **options)


def test_empty_texts_are_errors_unless_kept(write):
    path = write("a.tsv", "text\tlabel\none\ta\n \tb\n")
    with pytest.raises(DataFormatError, match=r"a\.tsv:3: column 'text' is empty\. Give the row a text or remove it"):
        load_dataset(path)
    assert load_dataset(path, empty="keep").texts == ["one", " "]


def test_wrong_label_column(write):
    with pytest.raises(DataFormatError, match=r"a\.tsv:1: no column 'label' \(did you mean 'labels'\?\)"):
        load_dataset(write("a.tsv", "text\tlabels\none\ta\n"))
    with pytest.raises(DataFormatError, match=r"a\.jsonl: no key 'label' \(did you mean 'labels'\?\); the keys are"):
        load_dataset(write("a.jsonl", '{"text": "one", "labels": "a"}\n'))


def test_missing_keys_are_unlabelled_where_other_rows_have_them(write):
    path = write("a.jsonl", '{"text": "one"}\n{"text": "two", "label": "a"}\n')
    assert load_dataset(path) == Dataset(["two"], ["a"], [2], n_unlabelled=1)


def test_one_column_alone(write):
    path = write("a.tsv", "text\tlabel\none\ta\ntwo\t\n")
    assert load_dataset(path, label=None) == Dataset(["one", "two"], [], [2, 3])
    assert load_dataset(path, text=None) == Dataset([], ["a"], [2], n_unlabelled=1)
    with pytest.raises(InvalidParameterError, match="columns must name at least one"):
        load_dataset(path, text=None, label=None)


def test_other_column_names_and_a_header_alone(write):
    assert load_dataset(write("a.csv", "body,class\nx,y\n"), text="body", label="class").labels == ["y"]
    assert load_dataset(write("b.tsv", "text\tlabel\n")) == Dataset([], [], [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ""}, "separator must be a string that is not empty; got ''"),
        ({"multilabel": "yes"}, "multilabel must be one of None, True, False; got 'yes'"),
        ({"text": "label"}, "each column must be named once"),
        ({"empty": 0}, "empty must be one of 'keep', 'error'; got 0"),
    ],
)
def test_parameters(options, message):
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        load_dataset("nowhere.tsv", **options)


# --- the sample


def test_sample_parts_are_disjoint_and_complete():
    parts = {split: load_sample(split) for split in ("train", "dev", "test")}
    everything = load_sample()
    assert len(everything) >= 900
    assert sum(map(len, parts.values())) == len(everything)
    assert all(set(part.splits) == {split} for split, part in parts.items())
    assert len(set(everything.ids)) == len(set(everything.texts)) == len(everything)


def test_sample_labels():
    sample = load_sample()
    assert len(set(sample.topic) - {None}) == 8
    assert set(sample.sentiment) - {None} == {"negative", "neutral", "positive"}
    assert len(set(sample.urgency) - {None}) == 2
    topics = sample.dataset("topic")
    assert 0 < topics.n_unlabelled == sample.topic.count(None)
    assert len(topics) + topics.n_unlabelled == len(sample)
    assert topics.texts[0] == sample.texts[topics.lines[0] - 1]


def test_sample_without_labels():
    sample = load_sample("unlabelled")
    assert len(sample) >= 300
    assert sample.topic == [None] * len(sample)
    assert not set(sample.texts) & set(load_sample().texts)


def test_sample_parameters():
    with pytest.raises(InvalidParameterError, match="split must be one of None, 'train', 'dev', 'test', 'unlabelled'"):
        load_sample("dev2")
    with pytest.raises(InvalidParameterError, match="task must be one of 'topic', 'sentiment', 'urgency'"):
        load_sample("dev").dataset("mood")


def test_weights_are_those_of_the_rows_with_a_label(write, tmp_path):
    path = write("a.tsv", "text\tlabel\tsure\none\t1\t0.5\ntwo\t\tnothing\nthree\t2\t2e1\nfour\t2\t0\n")
    data = load_dataset(path, weight="sure")
    assert data == Dataset(
        ["one", "three", "four"], ["1", "2", "2"], [2, 4, 5], n_unlabelled=1, weights=[0.5, 20.0, 0.0]
    )
    assert load_dataset(path).weights is None
    assert load_dataset(write("b.jsonl", '{"text": "t", "label": 1, "w": 3}\n'), weight="w").weights == [3.0]
    table = tmp_path / "c.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["t", "u"], "w": [0.25, 1.0]}), table)
    assert load_dataset(table, label=None, weight="w") == Dataset(["t", "u"], [], [1, 2], weights=[0.25, 1.0])


@pytest.mark.parametrize("value", ["much", "-1", "nan", "inf", ""])
def test_weights_of_tsv_that_are_none_are_refused_by_line(write, value):
    path = write("a.tsv", f"text\tlabel\tw\none\t1\t1\ntwo\t2\t{value}\n")
    message = rf"a\.tsv:3: column 'w' must be a number that is not negative, got '{value}'\. Correct the weight"
    with pytest.raises(DataFormatError, match=message):
        load_dataset(path, weight="w")


@pytest.mark.parametrize("value", ["true", "null", "[1]", "-0.5"])
def test_weights_of_jsonl_that_are_none_are_refused_by_line(write, value):
    path = write("a.jsonl", f'{{"text": "t", "label": "a", "w": {value}}}\n')
    with pytest.raises(DataFormatError, match=r"a\.jsonl:1: column 'w' must be a number that is not negative, got "):
        load_dataset(path, weight="w")


def test_a_weight_column_that_is_not_there_is_refused(write):
    with pytest.raises(DataFormatError, match="sure"):
        load_dataset(write("a.tsv", "text\tlabel\none\t1\n"), weight="sure")
    with pytest.raises(InvalidParameterError, match="each column must be named once"):
        load_dataset(write("a.tsv", "text\tlabel\none\t1\n"), weight="label")
