"""Writers: literal bytes, refusals that name the row, and what is written is read back."""

from __future__ import annotations

import gzip
import io
import json
import sys

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlclassic.data import load_dataset, open_writer, read_batches
from tlclassic.errors import DataFormatError, InputError, InvalidParameterError

ROWS = {"text": ['say "hi", now', "é"], "label": ["a", None], "p": [0.1, 2.0], "ok": [True, False]}


@pytest.fixture
def stdout(monkeypatch):
    def take():
        # Set by the test itself: pytest's capture puts its own stream in place after the fixtures ran.
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), write_through=True))
        return sys.stdout.buffer

    return take


def written_in(path, batches, **options):
    with open_writer(path, columns=list(batches[0]), **options) as writer:
        for batch in batches:
            writer.write(batch)


def written(path, columns, **options):
    written_in(path, [columns], **options)
    return path.read_bytes().decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tsv", 'text\tlabel\tp\tok\nsay "hi", now\ta\t0.1\ttrue\né\t\t2.0\tfalse\n'),
        ("a.csv", 'text,label,p,ok\n"say ""hi"", now",a,0.1,true\né,,2.0,false\n'),
        (
            "a.jsonl",
            '{"text": "say \\"hi\\", now", "label": "a", "p": 0.1, "ok": true}\n'
            '{"text": "é", "label": null, "p": 2.0, "ok": false}\n',
        ),
    ],
)
def test_literal_files(tmp_path, name, expected):
    assert written(tmp_path / name, ROWS) == expected


def test_numpy_values_and_shortest_numbers(tmp_path):
    columns = {
        "label": np.array([3, 4]),
        "single": np.array([0.1, 1e-30], dtype=np.float32),
        "double": np.array([1 / 3, 1e22]),
        "set": [["a", "b"], np.array([])],
        "name": np.array(["x", "y"]),
        "half": [np.float16(0.1), np.bool_(True)],
    }
    assert written(tmp_path / "a.tsv", columns) == (
        "label\tsingle\tdouble\tset\tname\thalf\n3\t0.1\t0.3333333333333333\ta,b\tx\t0.1\n4\t1e-30\t1e+22\t\ty\ttrue\n"
    )


def test_dicts_in_jsonl(tmp_path):
    columns = {"proba": [{"a": np.float32(0.25), 1: 0.75}]}
    assert written(tmp_path / "a.jsonl", columns) == '{"proba": {"a": 0.25, "1": 0.75}}\n'
    with pytest.raises(DataFormatError, match=r"a\.tsv: row 1 cannot be written: a field cannot hold a dict"):
        written(tmp_path / "a.tsv", columns)


@pytest.mark.parametrize("bad", ["a\tb", "a\nb", "a\r", "a\0"])
def test_tsv_cannot_hold_tabs_and_line_ends(tmp_path, bad):
    batches = [{"x": ["fine", "fine"]}, {"x": [bad]}]
    with pytest.raises(DataFormatError, match=r"a\.tsv: row 3 cannot be written: column 'x' holds a tab, a line end"):
        written_in(tmp_path / "a.tsv", batches)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (float("nan"), "row 2 cannot be written: column 'x': nan is not a finite number"),
        (np.float32("inf"), "row 2 cannot be written: column 'x': inf is not a finite number"),
        (object, "row 2 cannot be written: column 'x': type is not a string, number"),
    ],
)
def test_values_that_no_format_holds(tmp_path, name, bad, message):
    with pytest.raises(DataFormatError, match=message):
        written(tmp_path / name, {"x": [1.0, bad]})


def test_not_finite_arrays_are_found(tmp_path):
    with pytest.raises(DataFormatError, match="row 2 cannot be written: column 'x': nan"):
        written(tmp_path / "a.jsonl", {"x": np.array([0.5, np.nan])})


def test_half_surrogates_and_labels_with_commas(tmp_path):
    for name in ("a.tsv", "a.csv", "a.jsonl"):
        with pytest.raises(DataFormatError, match="row 1 cannot be written: 'utf-8' codec can't encode"):
            written(tmp_path / name, {"x": ["\ud800"]})
    with pytest.raises(DataFormatError, match="surrogates not allowed"):
        written(tmp_path / "a.parquet", {"x": ["\ud800"]})
    with pytest.raises(DataFormatError, match="row 1 cannot be written: a label holds ','"):
        written(tmp_path / "a.tsv", {"x": [["a,b", "c"]]})


def test_parquet_types(tmp_path):
    path = tmp_path / "a.parquet"
    with open_writer(path, columns=["text", "n", "p", "gap", "set"]) as writer:
        writer.write({"text": ["a"], "n": [1], "p": [0.5], "gap": [None], "set": [["x"]]})
        writer.write({"text": ["b"], "n": [2], "p": [1], "gap": ["late"], "set": [[]]})
    table = pyarrow.parquet.read_table(path)
    assert [str(kind) for kind in table.schema.types] == [
        "string",
        "int64",
        "double",
        "string",
        "list<element: string>",
    ]
    assert table.column("gap").to_pylist() == [None, "late"]


def test_parquet_row_groups_and_late_types(tmp_path):
    path = tmp_path / "a.parquet"
    with open_writer(path, columns=["n"]) as writer:
        for start in range(0, 140_000, 10_000):
            writer.write({"n": np.arange(start, start + 10_000)})
    file = pyarrow.parquet.ParquetFile(path)
    assert file.metadata.num_row_groups == 2
    assert file.read().column("n").to_pylist() == list(range(140_000))
    with pytest.raises(DataFormatError, match="column 'n' does not fit one Parquet type"):
        written(tmp_path / "b.parquet", {"n": [1, "x"]})


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.parquet"])
def test_no_rows(tmp_path, name):
    path = tmp_path / name
    with open_writer(path, columns=["text", "label"]):
        pass
    if name == "a.jsonl":
        assert path.read_bytes() == b""
    else:
        assert list(read_batches(path, columns=["text", "label"])) == []


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_packed_files(tmp_path, suffix):
    path = tmp_path / f"a.jsonl.{suffix}"
    with open_writer(path, columns=["text"]) as writer:
        writer.write({"text": ["one"] * 1000})
    (batch,) = read_batches(path, columns=["text"])
    assert batch.columns == {"text": ["one"] * 1000}
    assert path.stat().st_size < 500


def test_gzip_files_are_reproducible(tmp_path):
    contents = set()
    for name in ("a.tsv.gz", "b.tsv.gz"):
        with open_writer(tmp_path / name, columns=["x"]) as writer:
            writer.write({"x": ["one"]})
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1
    assert gzip.decompress(contents.pop()) == b"x\none\n"


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.jsonl.zst", "a.parquet"])
def test_an_error_leaves_the_old_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(DataFormatError, match="nan is not a finite number"):
        written_in(path, [{"x": [0.5]}, {"x": [float("nan")]}])
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_standard_output_is_flushed_after_each_batch(stdout):
    taken = stdout()
    with open_writer("-", format="jsonl", columns=["x"]) as writer:
        writer.write({"x": [1]})
        assert taken.getvalue() == b'{"x": 1}\n'
    assert not taken.closed
    with open_writer("-", format="tsv", columns=["x"]):
        assert taken.getvalue() == b'{"x": 1}\nx\n'


def test_parquet_to_standard_output(stdout):
    taken = stdout()
    with open_writer("-", format="parquet", columns=["x"]) as writer:
        writer.write({"x": [1, 2]})
    assert pyarrow.parquet.read_table(io.BytesIO(taken.getvalue())).column("x").to_pylist() == [1, 2]


def test_a_closed_pipe_is_for_the_caller(monkeypatch):
    class Closed(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError

    class Out(io.StringIO):
        buffer = Closed()

    monkeypatch.setattr(sys, "stdout", Out())
    with pytest.raises(BrokenPipeError), open_writer("-", format="jsonl", columns=["x"]) as writer:
        writer.write({"x": [1]})


@pytest.mark.parametrize(
    ("destination", "options", "message"),
    [
        ("-", {"columns": ["x"]}, "format must be given, the name '-' does not tell it; choose one of 'jsonl', 'tsv'"),
        ("a.out", {"columns": ["x"]}, "format must be given"),
        ("a.txt", {"columns": ["x"], "format": "txt"}, "format must be one of 'jsonl', 'tsv', 'csv', 'parquet'"),
        ("a.tsv", {"columns": []}, "columns must be a list of different names"),
        ("a.tsv", {"columns": "x"}, "columns must be a list of different names"),
        ("a.tsv", {"columns": ["x", "x"]}, "columns must be a list of different names"),
        ("a.tsv", {"columns": ["a\tb"]}, "columns must be a list of different names without tabs"),
        ("a.parquet.gz", {"columns": ["x"]}, "destination must end with .parquet, which packs itself"),
    ],
)
def test_parameters(destination, options, message):
    with pytest.raises(InvalidParameterError, match=message), open_writer(destination, **options):
        pass


def test_batches_must_fit(tmp_path):
    with open_writer(tmp_path / "a.tsv", columns=["x", "y"]) as writer:
        with pytest.raises(InvalidParameterError, match=r"columns must be \['x', 'y'\]; got \['x'\]"):
            writer.write({"x": [1]})
        with pytest.raises(InvalidParameterError, match="columns must have the same length; got x: 1, y: 2"):
            writer.write({"x": [1], "y": [1, 2]})


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        written(tmp_path / "none" / "a.tsv", {"x": [1]})


# --- what is written is read back

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NO_NUL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TSV_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\r\n"), max_size=20)
round_trip = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_round_trip(path, rows):
    columns = {"text": [text for text, _ in rows], "other": [other for _, other in rows]}
    with open_writer(path, columns=list(columns)) as writer:
        for start in range(0, len(rows), 3):
            writer.write({name: values[start : start + 3] for name, values in columns.items()})
    found = {"text": [], "other": []}
    for batch in read_batches(path, columns=["text"], optional=["other"], batch_size=2):
        for name in found:
            found[name] += batch.columns[name]
    assert found == columns


@round_trip
@given(rows=st.lists(st.tuples(TSV_TEXT, TSV_TEXT), max_size=8))
def test_tsv_round_trip(tmp_path, rows):
    check_round_trip(tmp_path / "a.tsv", rows)


@round_trip
@given(rows=st.lists(st.tuples(NO_NUL, NO_NUL), max_size=8))
def test_csv_round_trip(tmp_path, rows):
    check_round_trip(tmp_path / "a.csv", rows)


VALUES = st.one_of(st.none(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), ANY_TEXT)


@round_trip
@given(rows=st.lists(st.tuples(ANY_TEXT, VALUES), min_size=1, max_size=8))
def test_jsonl_round_trip(tmp_path, rows):
    check_round_trip(tmp_path / "a.jsonl", rows)


@round_trip
@given(rows=st.lists(st.tuples(ANY_TEXT, st.none() | st.integers(-(2**62), 2**62)), min_size=1, max_size=8))
def test_parquet_round_trip(tmp_path, rows):
    rows = [*rows, ("last", 7)]  # a column of nulls alone would be one of strings
    check_round_trip(tmp_path / "a.parquet", rows)


@round_trip
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=5))
def test_single_precision_survives_in_few_digits(tmp_path, values):
    text = written(tmp_path / "a.jsonl", {"x": np.array(values, dtype=np.float32)})
    found = [json.loads(line)["x"] for line in text.splitlines()]
    assert np.array(found, dtype=np.float32).tolist() == values


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
@pytest.mark.parametrize("labels", [[1, 2], ["1", "2"], [True, False], [["a"], []]])
def test_label_types_round_trip(tmp_path, name, labels):
    with open_writer(tmp_path / name, columns=["text", "label"]) as writer:
        writer.write({"text": ["x", "y"], "label": labels})
    found = load_dataset(tmp_path / name).labels
    assert found == labels
    assert [type(label) for label in found] == [type(label) for label in labels]
