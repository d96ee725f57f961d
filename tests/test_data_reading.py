"""Readers: every corner of the formats has a literal answer."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys
import tracemalloc

import pyarrow
import pyarrow.parquet
import pytest

from tlclassic.data import Batch, read_batches
from tlclassic.errors import DataFormatError, InvalidParameterError, RepairWarning


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(source, **options):
    return [text for batch in read_batches(source, columns=["text"], **options) for text in batch.columns["text"]]


def refused(source, message, **options):
    options.setdefault("columns", ["text"])
    with pytest.raises(DataFormatError, match=message) as caught:
        list(read_batches(source, **options))
    return caught.value


@pytest.fixture
def stdin(monkeypatch):
    def feed(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return feed


# --- TSV


def test_tsv_columns_and_lines(tmp_path):
    path = write(tmp_path / "a.tsv", "id\ttext\tlabel\n1\tone\ta\n2\ttwo\tb\n")
    (batch,) = read_batches(path, columns=["text", "label"], optional=["id", "absent"])
    assert batch == Batch(
        {"text": ["one", "two"], "label": ["a", "b"], "id": ["1", "2"], "absent": [None, None]}, [2, 3]
    )
    assert len(batch) == 2


def test_tsv_is_unquoted(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"open\ta\n"x ""y"" z"\tb\n')
    assert texts(path) == ['"open', '"x ""y"" z"']


def test_tsv_quoted_on_request(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"one\ttwo\nthree ""q"""\ta\nplain 5" pipe\tb\n')
    (batch,) = read_batches(path, columns=["text", "label"], quoted=True)
    assert batch.columns == {"text": ['one\ttwo\nthree "q"', 'plain 5" pipe'], "label": ["a", "b"]}
    assert batch.lines == [2, 4]


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\r"])
def test_only_newlines_end_lines(tmp_path, odd):
    path = write(tmp_path / "a.tsv", f"text\tlabel\none{odd}two\ta\n")
    assert texts(path) == [f"one{odd}two"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark(tmp_path, end, last, mark):
    content = end.join(["text\tlabel", "één\ta", "two\tb"]) + (end if last else "")
    assert texts(write(tmp_path / "a.tsv", mark + content.encode())) == ["één", "two"]


def test_too_few_and_too_many_fields(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\none\ta\ntwo\n")
    refused(path, r"a\.tsv:3: expected 2 fields \(text, label\), got 1\. Each row needs")
    path = write(tmp_path / "b.tsv", 'text\tlabel\none\ta\n"t\two"\tb\n')
    refused(path, r"b\.tsv:3: expected 2 fields \(text, label\), got 3\. .*pass quoted=True")


def test_wrong_column_lists_columns_and_guesses(tmp_path):
    path = write(tmp_path / "a.tsv", "id\tText\tlabel\n1\tone\ta\n")
    refused(path, r"a\.tsv:1: no column 'text' \(did you mean 'Text'\?\); the columns are: 'id', 'Text', 'label'\.")
    refused(path, r"no column 'zzz'; the columns are", columns=["zzz"])


def test_header_hints(tmp_path):
    refused(write(tmp_path / "a.tsv", '"text"\t"label"\n'), "The names stand in quotes: pass quoted=True")
    refused(write(tmp_path / "b.csv", "text;label\nx;y\n"), "separated by ';'")
    refused(write(tmp_path / "c.tsv", "text\tlabel\rx\ty\r"), r"bare carriage return")
    many = "\t".join(f"c{number}" for number in range(50))
    refused(write(tmp_path / "d.tsv", many + "\n"), "'c19' and 30 more")


def test_double_column_only_matters_when_wanted(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tx\tx\none\t1\t2\n")
    assert texts(path) == ["one"]
    refused(path, r"a\.tsv:1: column 'x' is there 2 times", columns=["text", "x"])


def test_blank_lines_between_rows_are_counted_and_trailing_ones_are_not(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\n\none\ta\n\r\n\ntwo\tb\n\n\n")
    with pytest.warns(RepairWarning, match=r"skipped 3 blank lines between rows \(the first is line 2\)"):
        assert texts(path) == ["one", "two"]
    assert texts(write(tmp_path / "b.tsv", "text\tlabel\none\ta\n\n\n")) == ["one"]


def test_blank_line_of_a_single_column_is_an_empty_text(tmp_path):
    path = write(tmp_path / "a.tsv", "text\none\n\ntwo\n")
    assert texts(path) == ["one", "", "two"]
    refused(path, r"a\.tsv:3: column 'text' is empty", empty="error")


def test_header_only_and_no_bytes(tmp_path):
    assert texts(write(tmp_path / "a.tsv", "text\tlabel\n")) == []
    refused(write(tmp_path / "b.tsv", ""), r"b\.tsv: the file is empty")
    for name in ("c.tsv.gz", "d.jsonl.gz", "e.parquet.gz"):
        refused(write(tmp_path / name, gzip.compress(b"")), rf"{name}: the file is empty\. Expected a header")


# --- CSV


def test_csv_quotes_newlines_and_line_numbers(tmp_path):
    content = 'id,text\r\n1,"a, ""b""\r\nc"\r\n2,plain\r\n3,""\r\n"4","x"\r\n'
    (batch,) = read_batches(write(tmp_path / "a.csv", content), columns=["text"], optional=["id"])
    assert batch.columns == {"text": ['a, "b"\r\nc', "plain", "", "x"], "id": ["1", "2", "3", "4"]}
    assert batch.lines == [2, 4, 5, 6]


def test_csv_unquoted_on_request(tmp_path):
    assert texts(write(tmp_path / "a.csv", 'text,x\n"a,b"\n'), quoted=False) == ['"a']


def test_broken_quotes_name_the_line_where_the_record_starts(tmp_path):
    path = write(tmp_path / "a.csv", 'id,text\n1,ok\n2,"never\nclosed\n3,x\n')
    error = refused(path, r"a\.csv:3: broken quote: it is opened and never closed")
    assert (error.line, error.path) == (3, str(path))
    path = write(tmp_path / "b.csv", 'id,text\n1,"two\nlines"then\n')
    refused(path, r"b\.csv:2: broken quote: 'then' follows a closing quote in field 2\. Write a quote")


def test_long_fields_leave_the_csv_module_alone(tmp_path):
    before = csv.field_size_limit()
    long = "word " * 400_000
    path = write(tmp_path / "a.csv", f'text,label\n"{long}",a\n{long},b\n')
    assert texts(path) == [long, long]
    assert csv.field_size_limit() == before


# --- bytes


def test_invalid_utf8(tmp_path):
    path = write(tmp_path / "a.tsv", b"text\tlabel\none\ta\ncaf\xe9 x\tb\n")
    refused(path, r"a\.tsv:3: invalid UTF-8 at byte 4 of the line \(0xe9\)\. Convert the file")


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be"])
def test_utf16_is_refused(tmp_path, codec):
    mark = b"" if codec == "utf-16" else b"\xfe\xff"
    path = write(tmp_path / "a.tsv", mark + "text\tlabel\none\ta\n".encode(codec))
    refused(path, r"a\.tsv: the text is UTF-16\. Convert it to UTF-8: iconv")


def test_nul_bytes_are_refused(tmp_path):
    refused(write(tmp_path / "a.tsv", "text\tlabel\no\0ne\ta\n"), r"a\.tsv:2: a NUL byte in the line")


def test_files_that_cannot_be_opened(tmp_path):
    refused(tmp_path / "none.tsv", r"none\.tsv: cannot read it \(No such file or directory\)\. Check the path")
    refused(tmp_path, r"cannot read it \(Is a directory\)\. Give the path of a file")
    refused(write(tmp_path / "a.zip", b"PK\x03\x04rest"), "this is a zip archive. Unpack it first")


def zstd(content):
    sink = io.BytesIO()
    sink.close = lambda: None  # pyarrow closes its sink, whose contents would be gone
    with pyarrow.CompressedOutputStream(pyarrow.PythonFile(sink, mode="w"), "zstd") as packed:
        packed.write(content)
    return sink.getvalue()


PACKERS = {"gz": gzip.compress, "zst": zstd, "bz2": bz2.compress, "xz": lzma.compress}
TSV = "text\tlabel\n" + "".join(f"text number {number} é\ta\n" for number in range(5000))


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_files_are_told_by_content(tmp_path, kind):
    for name in (f"a.tsv.{kind}", "b.tsv"):
        found = texts(write(tmp_path / name, PACKERS[kind](TSV.encode())))
        assert len(found) == 5000
        assert found[-1] == "text number 4999 é"


def test_several_gzip_members(tmp_path):
    path = write(tmp_path / "a.tsv.gz", gzip.compress(b"text\tx\none\t1\n") + gzip.compress(b"two\t2\n"))
    assert texts(path) == ["one", "two"]


def test_several_zstd_frames(tmp_path):
    assert texts(write(tmp_path / "a.tsv.zst", zstd(b"text\tx\none\t1\n") + zstd(b"two\t2\n"))) == ["one", "two"]


@pytest.mark.parametrize("kind", PACKERS)
def test_truncated_packed_files(tmp_path, kind):
    packed = PACKERS[kind](TSV.encode())
    refused(
        write(tmp_path / "a.tsv", packed[: len(packed) // 2]), r"a\.tsv(:\d+)?: the compressed data are damaged or cut"
    )


def test_damaged_gzip(tmp_path):
    packed = bytearray(gzip.compress(TSV.encode()))
    packed[-6] ^= 0xFF
    refused(write(tmp_path / "a.tsv.gz", bytes(packed)), r"the compressed data are damaged")


# --- JSON Lines


def test_jsonl(tmp_path):
    content = '{"text": "one\\u2028\\n", "n": 1}\n\n{"n": null, "text": "two"}'
    path = write(tmp_path / "a.jsonl", content)
    with pytest.warns(RepairWarning, match="skipped 1 blank line between"):
        (batch,) = read_batches(path, columns=["text"], optional=["n"])
    assert batch == Batch({"text": ["one\u2028\n", "two"], "n": [1, None]}, [1, 3])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x"', r"a\.jsonl:2: not valid JSON at column 13 \(Expecting ',' delimiter\)\. Each line must be"),
        ("[1]", r"a\.jsonl:2: expected a JSON object, got an array"),
        ("3", r"a\.jsonl:2: expected a JSON object, got a number"),
        ("null", r"a\.jsonl:2: expected a JSON object, got null"),
        ('{"text": NaN}', r"a\.jsonl:2: not valid JSON \(NaN is not a JSON number\)"),
        ('{"text": "x", "text": "y"}', r"a\.jsonl:2: not valid JSON \(the key 'text' is there twice\)"),
        ('{"Text": "x", "id": 1}', r"a\.jsonl:2: no key 'text' \(did you mean 'Text'\?\); the keys are: 'Text', 'id'"),
        ('{"text": null}', r"a\.jsonl:2: column 'text' is null\. Give the row a text or remove it"),
        ('{"text": 5}', r"a\.jsonl:2: column 'text' must be a string, got int 5\."),
        ('{"text": ["x"]}', r"a\.jsonl:2: column 'text' must be a string, got list \['x'\]"),
        (
            '{"text": "ab\\ud800"}',
            r"a\.jsonl:2: column 'text' holds half of a surrogate pair \(U\+D800\) at character 3",
        ),
        ('{"text": "x"}{"text": "y"}', r"a\.jsonl:2: not valid JSON at column 14 \(Extra data\)"),
        ('{"text": ' + "[" * 100_000 + "}", r"a\.jsonl:2: not valid JSON"),
        ('{"text": "a\tb"}', r"a\.jsonl:2: not valid JSON at column 12 \(Invalid control character at\)"),
    ],
)
def test_jsonl_errors(tmp_path, line, message):
    refused(write(tmp_path / "a.jsonl", '{"text": "ok"}\n' + line + "\n"), message)


def test_jsonl_escaped_characters_are_texts(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a\\u0000\\tb \\ud83d\\ude00"}\n')
    assert texts(path) == ["a\0\tb 😀"]


# --- Parquet


def parquet(path, columns, **options):
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **options)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.string(),
        pyarrow.large_string(),
        pyarrow.string_view(),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    ],
    ids=str,
)
def test_parquet_text_types(tmp_path, kind):
    column = pyarrow.array(["one", "två", "one"], pyarrow.string()).cast(kind)
    path = parquet(
        tmp_path / "a.parquet", {"text": column, "n": [1, None, 3], "other": [1.5, 2.5, 3.5]}, row_group_size=2
    )
    batches = list(read_batches(path, columns=["text"], optional=["n", "absent"], batch_size=2))
    assert [batch.lines for batch in batches] == [[1, 2], [3]]
    assert batches[0].columns == {"text": ["one", "två"], "n": [1, None], "absent": [None, None]}


def test_parquet_from_standard_input_and_packed(tmp_path, stdin):
    path = parquet(tmp_path / "a.parquet", {"text": ["one", "two"]})
    stdin(path.read_bytes())
    assert texts("-") == ["one", "two"]
    assert texts(write(tmp_path / "b.parquet.gz", gzip.compress(path.read_bytes()))) == ["one", "two"]


def test_parquet_errors(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"text": ["one", None], "n": [1, 2], "raw": [b"x", b"y"]})
    refused(path, r"a\.parquet:2: column 'text' is null")
    refused(path, r"a\.parquet:1: column 'n' must be a string, got int 1", columns=["n"])
    refused(path, r"a\.parquet:1: column 'raw' must be a string, got bytes b'x'", columns=["raw"])
    refused(
        path, r"a\.parquet: no column 'txt' \(did you mean 'text'\?\); the columns are: 'text', 'n'", columns=["txt"]
    )
    refused(write(tmp_path / "b.parquet", path.read_bytes()[:-20]), r"b\.parquet: not a readable Parquet file")
    refused(write(tmp_path / "c.parquet", b"text\tlabel\n"), r"c\.parquet: not a readable Parquet file")


def test_parquet_invalid_utf8(tmp_path):
    column = pyarrow.array([b"good", b"bad\xff"], pyarrow.binary()).view(pyarrow.string())
    refused(parquet(tmp_path / "a.parquet", {"text": column}), r"a\.parquet:2: column 'text': invalid UTF-8")


# --- formats and standard input


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"id\ttext\n1\tone, two\n", ["one, two"]),
        (b'id,text\n1,"one, two"\n', ["one, two"]),
        (b'{"text": "one"}\n', ["one"]),
        (b"\xef\xbb\xbfid\ttext\n1\tone\n", ["one"]),
        (gzip.compress(b"id\ttext\n1\tone\n"), ["one"]),
    ],
    ids=["tsv", "csv", "jsonl", "byte order mark", "gzip"],  # a gzip header holds the time: no name of a test
)
def test_standard_input_is_told_by_content(stdin, content, expected):
    stdin(content)
    assert texts("-") == expected


@pytest.mark.parametrize("content", [b"text\none\n", b"just a text\n", b"a\tb\n1\t2\n", b"\n"])
def test_contents_that_do_not_tell_the_format(stdin, content):
    stdin(content)
    refused("-", r"<stdin>: cannot tell the format\. Name it with format= .*: 'tsv', 'csv', 'jsonl', 'parquet', 'txt'")


def test_standard_input_errors_name_it(stdin, monkeypatch):
    stdin(b"id\ttext\n1\n")
    refused("-", r"<stdin>:2: expected 2 fields")
    stdin(b"")
    refused("-", r"<stdin>: the file is empty")
    monkeypatch.setattr(sys, "stdin", None)
    refused("-", r"<stdin>: standard input is not open")


def test_json_array_is_refused(tmp_path):
    refused(write(tmp_path / "a.json", '[{"text": "x"}]'), r"a\.json:1: this seems to be a JSON array")
    assert texts(write(tmp_path / "b.json", '{"text": "x"}\n')) == ["x"]


def test_plain_text(tmp_path, stdin):
    path = write(tmp_path / "a.txt", 'one, "two"\n\nthree')
    assert texts(path) == ['one, "two"', "", "three"]
    refused(path, "plain text has one text a line and no columns; asked for text, label", columns=["text", "label"])
    refused(write(tmp_path / "b.txt", "a\tb\n"), "cannot tell the format")
    stdin(b"one\ttwo\n")
    (batch,) = read_batches("-", columns=["text"], optional=["id"], format="txt")
    assert batch.columns == {"text": ["one\ttwo"], "id": [None]}


def test_a_path_may_be_a_string_or_have_capitals(tmp_path):
    assert texts(str(write(tmp_path / "A.TSV.GZ", gzip.compress(b"text\tx\none\t1\n")))) == ["one"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": []}, "columns must name at least one column"),
        ({"columns": "text"}, "columns must be a list of column names; got 'text'"),
        ({"columns": ["text"], "optional": ["text"]}, "each column must be named once"),
        ({"columns": ["text"], "format": "xlsx"}, "format must be one of None, 'tsv', 'csv'"),
        ({"columns": ["text"], "quoted": 1}, "quoted must be one of None, True, False; got 1"),
        ({"columns": ["text"], "quoted": True, "format": "jsonl"}, "quoted applies to tsv and csv"),
        ({"columns": ["text"], "batch_size": 0}, "batch_size must be at least 1"),
        ({"columns": ["text"], "empty": "drop"}, "empty must be one of 'keep', 'error'"),
    ],
)
def test_parameters_are_checked_at_the_call(options, message):
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        read_batches("nowhere.tsv", **options)


# --- size


def test_batches_have_the_size_asked_for(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tx\n" + "one\t1\n" * 10)
    assert [len(batch) for batch in read_batches(path, columns=["text"], batch_size=4)] == [4, 4, 2]


def test_batches_of_very_long_texts_are_shorter(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        for _ in range(5):
            file.write(json.dumps({"text": "x" * 20_000_000}) + "\n")
    assert [len(batch) for batch in read_batches(path, columns=["text"])] == [2, 2, 1]


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, kind):
    def peak(rows):
        path = tmp_path / f"{rows}.{kind}"
        body = [f"row {number} " + "word " * 40 for number in range(rows)]
        if kind == "parquet":
            parquet(path, {"text": body, "label": ["a"] * rows}, row_group_size=1000)
        elif kind == "jsonl":
            path.write_text("".join(json.dumps({"text": text, "label": "a"}) + "\n" for text in body))
        else:
            delimiter = "\t" if kind == "tsv" else ","
            path.write_text(f"text{delimiter}label\n" + "".join(f"{text}{delimiter}a\n" for text in body))
        del body
        tracemalloc.start()
        try:
            assert sum(map(len, read_batches(path, columns=["text"], batch_size=500))) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(20_000) < peak(2_000) + 500_000
