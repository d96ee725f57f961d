"""The command line, run in-process; exit codes: 0 done, 2 wrong use, 1 failed."""

from __future__ import annotations

import io
import json
import sys

import pyarrow.parquet as pq
import pytest

from tlclassic.app.main import _run

TRAIN = [
    ("the parcel never came", "delivery"),
    ("parcel is late again", "delivery"),
    ("where is the parcel", "delivery"),
    ("the parcel came broken", "delivery"),
    ("my bill is wrong", "billing"),
    ("charged twice on this bill", "billing"),
    ("the bill came twice", "billing"),
    ("bill is wrong again", "billing"),
] * 3
WORDS = ["the", "parcel", "never", "came", "is", "late", "again", "where", "broken", "my", "bill"]
WORDS += ["wrong", "charged", "twice", "on", "this"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with train.tsv, test.jsonl and glove.txt as the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in TRAIN))
    rows = [{"id": i, "text": text, "label": label} for i, (text, label) in enumerate(TRAIN[:8])]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [
        f"{word} {i % 3} {1 if word in ('parcel', 'late', 'broken') else -i % 5} {i / 7:.4f}"
        for i, word in enumerate(WORDS)
    ]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line; gives exit code, stdout and stderr."""

    def call(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["tlclassic", *map(str, arguments)])
        stream = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stream)
        code = _run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def model(files, run):
    """A model trained on vectors and TF-IDF."""
    code, _, err = run("train", "train.tsv", "-f", "vectors:glove.txt", "-f", "tfidf", "-o", "model.tlc")
    assert (code, err) == (0, "")
    return files / "model.tlc"


def test_train_says_what_it_did(files, run):
    code, out, err = run("train", "train.tsv", "-f", "vectors:glove.txt", "--dev", "test.jsonl", "-o", "model.tlc")
    assert (code, err) == (0, "")
    first, second, third, last = out.splitlines()
    assert first == "trained on 24 texts, 2 classes"
    assert second.startswith("accuracy ")
    assert "5-fold cross-validation (C = " in second
    assert third.endswith("on 8 dev texts")
    assert last == f"saved model.tlc ({(files / 'model.tlc').stat().st_size:,} bytes)"


def test_train_json_holds_provenance(files, run):
    code, out, _ = run("train", "train.tsv", "-f", "tfidf", "--dev", "test.jsonl", "-o", "model.tlc", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["n"] == 24
    assert report["classes"] == ["billing", "delivery"]
    assert len(report["sha256"]) == 64
    assert report["dev"]["accuracy"] == 1.0
    from tlclassic.pipelines import read_metadata

    assert read_metadata("model.tlc")["training"]["sha256"] == report["sha256"]


def test_rows_without_label_are_counted(files, run):
    with (files / "train.tsv").open("a") as file:
        file.write("no label here\t\n")
    code, out, err = run("train", "train.tsv", "-f", "tfidf", "-o", "model.tlc")
    assert code == 0
    assert "trained on 24 texts" in out
    assert err == "train.tsv: 1 rows without a label are left out of training\n"


def test_predict_jsonl_from_stdin(model, run):
    code, out, err = run("predict", model, "--lines", "--proba", stdin="late parcel\nwrong bill\n")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [row["label"] for row in rows] == ["delivery", "billing"]
    assert [sorted(row["proba"]) for row in rows] == [["billing", "delivery"]] * 2
    assert sum(rows[0]["proba"].values()) == pytest.approx(1)


def test_predict_tsv_keeps_columns_and_order(model, run):
    code, out, _ = run(
        "predict", model, "test.jsonl", "--keep", "id", "--format", "tsv", "--proba", "--batch-size", "3"
    )
    lines = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert lines[0] == ["id", "label", "proba_billing", "proba_delivery"]
    assert [line[0] for line in lines[1:]] == [str(i) for i in range(8)]
    assert [line[1] for line in lines[1:]] == [label for _, label in TRAIN[:8]]


def test_kept_column_may_be_named_like_the_prediction(model, run):
    code, out, _ = run("predict", model, "test.jsonl", "--keep", "label", "--column", "predicted", "--format", "csv")
    assert code == 0
    assert out.splitlines()[:2] == ["label,predicted", "delivery,delivery"]


def test_misspelt_kept_column(model, run):
    code, _, err = run("predict", model, "test.jsonl", "--keep", "idd")
    assert code == 2
    assert "--keep 'idd' names a column without a value" in err


def test_predict_parquet(model, run, files):
    code, out, _ = run("predict", model, "test.jsonl", "--format", "parquet", "-o", "out.parquet")
    assert (code, out) == (0, "")
    assert pq.read_table(files / "out.parquet").column("label").to_pylist() == [label for _, label in TRAIN[:8]]


def test_predict_on_no_texts(model, run, files):
    (files / "empty.tsv").write_text("text\n")
    code, out, _ = run("predict", model, "empty.tsv", "--proba", "--format", "tsv")
    assert (code, out) == (0, "label\tproba_billing\tproba_delivery\n")


def test_evaluate(model, run):
    code, out, _ = run("evaluate", model, "test.jsonl", "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["n"], result["accuracy"], result["macro_f1"]) == (8, 1.0, 1.0)
    code, out, err = run("evaluate", model, "test.jsonl", "--report", "report.html")
    assert code == 0
    assert "accuracy           1.0000" in out
    assert err == "wrote report.html\n"


def test_integers_stay_integers(files, run):
    rows = [{"text": text, "label": int(label == "delivery")} for text, label in TRAIN]
    (files / "ints.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("train", "ints.jsonl", "-f", "tfidf", "-o", "ints.tlc")[0] == 0
    _, out, _ = run("predict", "ints.tlc", "--lines", stdin="late parcel\n")
    assert json.loads(out) == {"label": 1}
    (files / "ints.tsv").write_text("text\tlabel\nlate parcel\t1\n")
    _, out, _ = run("evaluate", "ints.tlc", "ints.tsv", "--json")
    assert json.loads(out)["accuracy"] == 1.0


def test_booleans_in_a_file_without_types(files, run):
    rows = [{"text": text, "label": label == "delivery"} for text, label in TRAIN]
    (files / "bools.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("train", "bools.jsonl", "-f", "tfidf", "-o", "bools.tlc")[0] == 0
    assert run("predict", "bools.tlc", "bools.jsonl", "--keep", "text", "--format", "tsv", "-o", "back.tsv")[0] == 0
    _, out, _ = run("evaluate", "bools.tlc", "back.tsv", "--json")
    assert json.loads(out)["accuracy"] == 1.0


def test_multilabel(files, run):
    rows = [{"text": text, "label": [label, "late"] if "late" in text else [label]} for text, label in TRAIN]
    (files / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, err = run("train", "many.jsonl", "-f", "tfidf", "-o", "many.tlc", "--metric", "macro_f1")
    assert (code, err) == (0, "")
    _, out, _ = run("predict", "many.tlc", "--lines", "--proba", stdin="parcel is late again\n")
    row = json.loads(out)
    assert row["label"] == ["delivery", "late"]
    assert sorted(row["proba"]) == ["billing", "delivery", "late"]
    _, out, _ = run("predict", "many.tlc", "--lines", "--format", "tsv", stdin="parcel is late again\n")
    assert out == "label\ndelivery,late\n"
    commas = [{**row, "label": [f"{label}, {label}" for label in row["label"]]} for row in rows]
    (files / "commas.jsonl").write_text("".join(json.dumps(row) + "\n" for row in commas))
    assert run("train", "commas.jsonl", "-f", "tfidf", "-o", "commas.tlc")[0] == 0
    code, out, err = run("predict", "commas.tlc", "--lines", "--format", "tsv", stdin="parcel is late again\n")
    assert (code, out) == (2, "label\n")
    assert "--format must be jsonl or parquet: the label 'delivery, delivery' holds ','" in err
    code, out, _ = run("evaluate", "many.tlc", "many.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["n"] == 24


@pytest.mark.parametrize("features", ["tfidf", "ngrams"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated_model_is_saved_and_applied(files, run, method, features):
    assert run("train", "train.tsv", "-f", features, "--calibrate", method, "-o", "model.tlc")[0] == 0
    code, out, _ = run("predict", "model.tlc", "--lines", "--proba", stdin="late parcel\n")
    assert code == 0
    assert json.loads(out)["label"] == "delivery"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "missing.tsv", "-f", "tfidf", "-o", "m"], 1, "error: missing.tsv: "),
        (["train", "train.tsv", "-f", "nonsense", "-o", "m"], 2, "error: --features must be one of ngrams, "),
        (["train", "train.tsv", "-f", "vectors:missing.txt", "-o", "m"], 1, "error: missing.txt: "),
        (["train", "train.tsv", "-f", "tfidf", "--label", "labl", "-o", "m"], 1, "'labl'"),
        (["train", "train.tsv", "-f", "tfidf", "-o", "no/such/folder/m"], 1, "the folder "),
        (["train", "train.tsv"], 2, "Missing option"),
        (["predict", "train.tsv"], 1, "error: train.tsv: not a tlclassic file"),
        (["predict", "missing.tlc"], 1, "error: missing.tlc: cannot be read (No such file or directory)"),
        (["evaluate"], 2, "Missing argument"),
        (["nonsense"], 2, "No such command"),
        (
            ["vectors", "convert", "glove.txt", "out.bin", "--to", "word2vec-binary", "--dtype", "int8"],
            2,
            "--dtype needs",
        ),
        (["vectors", "similar", "glove.txt", "nonword"], 2, "'nonword' is not among the 16 words of glove.txt"),
    ],
)
def test_errors(files, run, arguments, code, message):
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert not (files / "m").exists()


def test_bad_row_names_file_and_line(model, run, files):
    (files / "bad.jsonl").write_text('{"text": "ok"}\n{"text": 3}\n')
    code, _, err = run("predict", model, "bad.jsonl")
    assert code == 1
    assert "bad.jsonl:2: " in err


def test_failed_predict_leaves_the_old_output(model, run, files):
    (files / "bad.jsonl").write_text('{"text": "ok"}\n{"text": 3}\n')
    (files / "out.jsonl").write_text("old\n")
    assert run("predict", model, "bad.jsonl", "-o", "out.jsonl", "--batch-size", "1")[0] == 1
    assert (files / "out.jsonl").read_text() == "old\n"


def test_version_and_help(run):
    code, out, _ = run("--version")
    assert (code, out) == (0, "tlclassic 0.1.0\n")
    code, out, _ = run("--help")
    assert code == 0
    for command in ("train", "predict", "evaluate", "vectors", "demo"):
        assert f"  {command}" in out


def test_vectors_info(files, run):
    code, out, _ = run("vectors", "info", "glove.txt", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["format"], facts["count"], facts["dim"], facts["dtype"]) == ("glove", 16, 3, "float32")
    assert facts["first_words"][:2] == ["the", "parcel"]
    code, out, _ = run("vectors", "info", "glove.txt")
    assert "first words:        the parcel never" in out


def test_vectors_convert_and_back(files, run):
    assert run("vectors", "convert", "glove.txt", "v.tlc")[:2] == (0, "wrote v.tlc (store)\n")
    assert run("vectors", "convert", "v.tlc", "back.txt")[:2] == (0, "wrote back.txt (glove)\n")
    assert [line.split()[0] for line in (files / "back.txt").read_text().splitlines()] == WORDS
    assert run("vectors", "convert", "glove.txt", "v8.tlc", "--dtype", "int8")[0] == 0
    _, out, _ = run("vectors", "info", "v8.tlc", "--json", "--verify")
    assert json.loads(out)["dtype"] == "int8"


def test_vectors_similar(files, run):
    code, out, _ = run("vectors", "similar", "glove.txt", "parcel", "--topn", "2", "--json")
    neighbours = json.loads(out)
    assert code == 0
    assert len(neighbours) == 2
    assert neighbours[0]["cosine"] >= neighbours[1]["cosine"]
    code, out, _ = run("vectors", "similar", "glove.txt", "--topn", "1", "--", "parcel", "-late", "bill")
    assert code == 0
    assert out.split()[1] not in ("parcel", "late", "bill")


def test_vectors_eval(files, run):
    (files / "pairs.tsv").write_text("parcel\tlate\t9\nparcel\tbill\t1\nlate\tbroken\t7\nparcel\tnothing\t3\n")
    code, out, _ = run("vectors", "eval", "glove.txt", "pairs.tsv", "--json")
    result = json.loads(out)["pairs"]
    assert code == 0
    assert (result["n"], result["n_unknown"]) == (3, 1)
    assert -1 <= result["spearman"] <= 1
    _, out, _ = run("vectors", "eval", "glove.txt", "pairs.tsv")
    assert out.splitlines()[1].split()[0] == "pairs"


def test_vectors_coverage(files, run):
    code, out, _ = run("vectors", "coverage", "glove.txt", "train.tsv", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["n_texts"] == 24
    assert report["n_tokens"] == report["n_known_tokens"] > 24


def test_vectors_train_from_a_column(files, run):
    code, out, _ = run(
        *(
            "vectors",
            "train",
            "train.tsv",
            "--text",
            "text",
            "--dim",
            "8",
            "--min-count",
            "1",
            "--workers",
            "1",
            "-o",
            "own.tlc",
        )
    )
    assert code == 0
    assert out == "wrote own.tlc: 16 words x 8\n"
    code, out, _ = run("train", "train.tsv", "-f", "vectors:own.tlc", "--vectors", "refer", "-o", "m.tlc")
    assert code == 0
    assert run("predict", "m.tlc", "--lines", stdin="late parcel\n")[0] == 0


def test_model_refers_to_a_store(files, run):
    assert run("vectors", "convert", "glove.txt", "v.tlc")[0] == 0
    code, _, err = run("train", "train.tsv", "-f", "vectors:glove.txt", "--vectors", "refer", "-o", "m.tlc")
    assert code == 2
    assert "--vectors refer needs vectors in a store; glove.txt is none" in err
    assert run("train", "train.tsv", "-f", "vectors:v.tlc", "--vectors", "refer", "-o", "m.tlc")[0] == 0
    assert run("evaluate", "m.tlc", "test.jsonl")[0] == 0
    (files / "elsewhere").mkdir()
    (files / "v.tlc").rename(files / "elsewhere" / "moved.tlc")
    code, _, err = run("evaluate", "m.tlc", "test.jsonl")
    assert code == 1
    assert "v.tlc" in err
    assert run("evaluate", "m.tlc", "test.jsonl", "--vectors", "elsewhere/moved.tlc")[0] == 0
    assert run("predict", "m.tlc", "--lines", "--vectors", "elsewhere/moved.tlc", stdin="late parcel\n")[0] == 0


def test_output_is_checked_before_any_work(files, run, model):
    for arguments in (
        ["train", "train.tsv", "-f", "tfidf", "-o", "train.tsv"],
        ["train", "train.tsv", "-f", "vectors:glove.txt", "-o", "glove.txt"],
        ["predict", "model.tlc", "test.jsonl", "-o", "model.tlc"],
        ["predict", "model.tlc", "test.jsonl", "-o", "test.jsonl"],
        ["vectors", "convert", "glove.txt", "glove.txt"],
    ):
        before = {path.name: path.read_bytes() for path in files.iterdir()}
        code, _, err = run(*arguments)
        assert code == 2
        assert "the output must not replace an input" in err
        assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_format_of_the_output_is_told_by_its_name(model, run, files):
    assert run("predict", model, "test.jsonl", "-o", "out.csv")[0] == 0
    assert (files / "out.csv").read_text().startswith("label\n")
    code, _, err = run("predict", model, "test.jsonl", "-o", "out.csv", "--format", "tsv")
    assert code == 2
    assert "--format tsv does not fit the name 'out.csv'" in err


def test_too_little_to_learn_from(files, run):
    cases = {
        "header.tsv": ("text\tlabel\n", "at least 4 labelled rows"),
        "dots.tsv": ("text\tlabel\n" + "...\ta\n!!!\tb\n" * 4, "hold no word to learn from"),
        "one.tsv": ("text\tlabel\n" + "a word\ta\n" * 5, "at least two classes"),
    }
    for name, (content, message) in cases.items():
        (files / name).write_text(content)
        code, _, err = run("train", name, "-f", "tfidf", "-o", "m.tlc")
        assert code == 2
        assert message in err
    (files / "rare.tsv").write_text((files / "train.tsv").read_text() + "odd one out\trare\n")
    code, _, err = run("train", "rare.tsv", "-f", "tfidf", "--calibrate", "sigmoid", "-o", "m.tlc")
    assert code == 2
    assert "'rare' has one" in err
    code, _, err = run("train", "train.tsv", "-f", "tfidf", "--dev", "header.tsv", "-o", "m.tlc")
    assert code == 1
    assert "header.tsv: there is no labelled row to report on" in err
    code, _, err = run("evaluate", "m.tlc", "header.tsv")
    assert code == 1


def test_subtracted_words_need_no_separator(files, run):
    code, out, _ = run("vectors", "similar", "glove.txt", "parcel", "-late", "bill", "--topn", "1")
    assert code == 0
    assert out.split()[1] not in ("parcel", "late", "bill")


def test_fewer_bits_make_a_smaller_compiled_file(files, run):
    for bits in (20, 12):
        assert run("train", "train.tsv", "-f", "ngrams", "--bits", bits, "-o", f"{bits}.tlc")[0] == 0
        assert run("compile", f"{bits}.tlc", "-o", f"c{bits}.tlc")[0] == 0
    assert (files / "c12.tlc").stat().st_size < 10_000 < 100_000 < (files / "c20.tlc").stat().st_size
