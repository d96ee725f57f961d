"""``tlclassic encoder``, run in-process on encoders of known vectors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import tlclassic.encoders
from tlclassic.app import encoder as module
from tlclassic.encoders import check as check_module
from tlclassic.errors import EncoderFormatError, InputError, InvalidParameterError

ROWS = [("a cat", "animal", "1"), ("", "animal", "2"), ("zwölf Äpfel", "fruit", "3"), ("a dog\\n", "fruit", "4")]


class Stub:
    """Vectors of (length, 0.1); texts longer than nine characters count as truncated."""

    def __init__(self, model, **options):
        Stub.options = options
        self.dim, self.n_truncated_ = 2, 0

    def transform(self, texts):
        self.n_truncated_ = sum(len(text) > 9 for text in texts)
        return np.array([[len(text), 0.1] for text in texts], dtype=np.float32)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder with texts.tsv and an encoder's folder `minilm`; gives (stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tlclassic.encoders, "OnnxEncoder", Stub, raising=False)
    (tmp_path / "texts.tsv").write_text("text\tlabel\tid\n" + "".join("\t".join(row) + "\n" for row in ROWS), "utf-8")
    (tmp_path / "minilm" / "onnx").mkdir(parents=True)
    for name in ("model.onnx", "model_qint8.onnx"):
        (tmp_path / "minilm" / "onnx" / name).write_bytes(name.encode())

    def call(*arguments, stdin=None):
        result = CliRunner().invoke(module.app, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout, result.stderr

    return call


@pytest.mark.parametrize("batch_size", [1, 3, 4096])
def test_encode_to_npy(run, tmp_path, batch_size):
    stdout, stderr = run("encode", "minilm", "texts.tsv", "--out", "v.npy", "--batch-size", batch_size)
    assert stdout == ""
    assert stderr == "4 texts encoded, 1 of them truncated\n"
    vectors = np.load(tmp_path / "v.npy", allow_pickle=False)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[n, np.float32(0.1)] for n in (5, 0, 11, 7)]
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert mapped.offset % 64 == 0
    assert mapped.flags.c_contiguous


def test_encode_nothing_to_npy(run, tmp_path):
    (tmp_path / "none.tsv").write_text("text\n")
    run("encode", "minilm", "none.tsv", "--out", "v.npy")
    assert np.load(tmp_path / "v.npy").shape == (0, 2)


def test_encode_to_jsonl_with_kept_columns(run, tmp_path):
    run("encode", "minilm", "texts.tsv", "--out", "v.jsonl", "--keep", "id")
    lines = (tmp_path / "v.jsonl").read_text("utf-8").splitlines()
    assert lines[0] == '{"id": "1", "vector": [5.0, 0.1]}'
    assert len(lines) == 4


def test_encode_to_parquet(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run("encode", "minilm", "texts.tsv", "--out", "v.parquet", "--keep", "label", "--keep", "id")
    table = parquet.read_table(tmp_path / "v.parquet").to_pydict()
    assert table["label"] == ["animal", "animal", "fruit", "fruit"]
    assert table["vector"][2] == pytest.approx([11, 0.1])


def test_encode_lines_of_stdin_to_stdout(run):
    stdout, _ = run("encode", "minilm", "--lines", stdin="one\nthree\n")
    assert [json.loads(line)["vector"][0] for line in stdout.splitlines()] == [3.0, 5.0]


def test_encode_passes_its_options_on(run):
    run(
        *("encode", "minilm", "texts.tsv", "--out", "v.npy", "--graph", "int8", "--pooling", "cls"),
        *("--prompt", "query", "--max-length", "64", "--cache", "kept", "--threads", "1"),
    )
    assert Stub.options == {
        "file": "int8", "pooling": "cls", "prompt": "query", "max_length": 64, "cache": "kept", "threads": 1,
    }  # fmt: skip


def test_encode_leaves_the_old_file_when_it_fails(run, tmp_path, monkeypatch):
    (tmp_path / "v.npy").write_bytes(b"old")
    monkeypatch.setattr(Stub, "transform", lambda self, texts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("encode", "minilm", "texts.tsv", "--out", "v.npy")
    assert (tmp_path / "v.npy").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["minilm", "texts.tsv", "v.npy"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--out", "v.txt"], InvalidParameterError, r"--out must end in \.npy, \.parquet or \.jsonl"),
        (["--out", "v.npy", "--format", "jsonl"], InvalidParameterError, "--format jsonl does not fit"),
        (["--format", "npy"], InvalidParameterError, "--format npy needs a file"),
        (["--out", "v.npy", "--keep", "id"], InvalidParameterError, "--keep needs a table"),
        (["--out", "texts.tsv", "--format", "jsonl"], InvalidParameterError, "must not replace an input"),
        (["--out", "nowhere/v.npy"], InputError, "does not exist"),
    ],
)
def test_encode_refuses(run, arguments, error, message):
    with pytest.raises(error, match=message):
        run("encode", "minilm", "texts.tsv", *arguments)


def test_check_says_what_it_decided(run, tmp_path, monkeypatch):
    monkeypatch.setattr(check_module, "_encoder", lambda root, name, threads: Stub(root))
    stdout, _ = run("check", "minilm", "texts.tsv", "--min-speedup", "0", "--threads", "1", "--repeats", "1")
    assert "cosine of int8 to fp32: mean 1.0000, min 1.0000\n" in stdout
    assert "  yes: mean cosine of int8 to fp32 1.0000, at least 0.99 wanted\n" in stdout
    assert stdout.endswith("kept as the default here: onnx/model_qint8.onnx\n")
    assert json.loads((tmp_path / "minilm" / "tlclassic.json").read_text())["prefer"] == "onnx/model_qint8.onnx"


def test_check_as_json_with_labels(run, tmp_path, monkeypatch):
    monkeypatch.setattr(check_module, "_encoder", lambda root, name, threads: Stub(root))
    stdout, _ = run(
        *("check", "minilm", "texts.tsv", "--label", "label", "--min-speedup", "100000", "--dry-run", "--json")
    )
    report = json.loads(stdout)
    assert report["prefer"] == "onnx/model.onnx"
    assert report["texts"] == 4
    assert report["fp32_accuracy"] == report["int8_accuracy"]
    assert not (tmp_path / "minilm" / "tlclassic.json").exists()


def test_check_reads_no_more_than_its_limit(run, monkeypatch):
    monkeypatch.setattr(check_module, "_encoder", lambda root, name, threads: Stub(root))
    stdout, _ = run("check", "minilm", "texts.tsv", "--limit", "3", "--json")
    assert json.loads(stdout)["texts"] == 3


def test_check_refuses_labels_without_texts(run):
    with pytest.raises(InvalidParameterError, match="--label needs a file of texts"):
        run("check", "minilm", "--label", "label")


def test_quantize_refuses_what_is_no_graph(run):
    pytest.importorskip("onnx")
    with pytest.raises(EncoderFormatError, match=r"minilm/onnx/model\.onnx: this"):
        run("quantize", "minilm")
    with pytest.raises(InvalidParameterError, match="must not replace an input"):
        run("quantize", "minilm", "--out", "minilm/onnx/model.onnx")


def test_quantize_prints_what_it_wrote(run, monkeypatch, tmp_path):
    seen = {}

    def quantize(folder, out, **options):
        seen.update(options, out=out)
        return tmp_path / "minilm" / "onnx" / "model_qint8.onnx"

    monkeypatch.setattr("tlclassic.encoders.quantize.quantize", quantize)
    stdout, _ = run("quantize", "minilm", "--reduce-range", "yes", "--keep-float", "a", "--no-embeddings", "--json")
    assert json.loads(stdout)["bytes"] == 16
    assert seen == {
        "out": None, "per_channel": True, "reduce_range": True, "embeddings": False, "keep_float": ["a"],
    }  # fmt: skip
