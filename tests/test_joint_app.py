"""``tlclassic vectors join``, ``retrofit`` and ``align``, run in-process."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from tlclassic import WordVectors
from tlclassic.app.main import _run

N = 120


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two sources of the same meanings, one of them turned; pairs, texts and a dictionary."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(N, 6)).astype(np.float32)
    turned = meaning @ np.linalg.qr(rng.normal(size=(6, 6)))[0].astype(np.float32)
    words = [f"w{i}" for i in range(N)]
    WordVectors.from_arrays(words[:100], meaning[:100]).save("first.txt", format="glove")
    WordVectors.from_arrays(words[20:], turned[20:]).save("second.tlc")
    WordVectors.from_arrays([f"x{i}" for i in range(N)], turned).save("other.txt", format="glove")
    pairs = [f"w{i}\tw{i + 1}\t{meaning[i] @ meaning[i + 1]}\n" for i in range(99)]
    (tmp_path / "pairs.tsv").write_text("".join(pairs))
    rows = [f"w{i} w{i + 1}\t{'up' if meaning[i : i + 2, 0].sum() > 0 else 'down'}\n" for i in range(99)]
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(rows))
    (tmp_path / "dictionary.txt").write_text("".join(f"x{i} w{i}\n" for i in range(30)))
    (tmp_path / "test.txt").write_text("".join(f"x{i} w{i}\n" for i in range(30, 100)))
    (tmp_path / "lexicon.txt").write_text("w0 w1 w2\nw1 w0\n")
    (tmp_path / "pairs.txt").write_text("w0 w1\n")
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line; gives exit code, stdout and stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tlclassic", "vectors", *map(str, arguments)])
        code = _run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_join(folder, run):
    assert run("join", "first.txt", "second.tlc", "-o", "joint.tlc") == (0, "wrote joint.tlc: 120 words x 12\n", "")
    assert WordVectors.load("joint.tlc").shape == (120, 12)
    code, out, _ = run("join", "first.txt", "second.tlc", "--method", "svd", "--dim", "4", "--json", "-o", "small.tlc")
    assert code == 0
    assert json.loads(out)["dim"] == WordVectors.load("small.tlc").dim == 4


@pytest.mark.parametrize("source", [["--pairs", "pairs.tsv"], ["--train", "train.tsv"]])
def test_join_chooses(source, folder, run):
    code, out, err = run("join", "first.txt", "second.tlc", *source, "--whitening", "0", "-o", "joint.tlc")
    assert (code, err) == (0, "")
    first, second, third = out.splitlines()
    assert ", weights " in first
    assert second.startswith("cross-validated ")
    assert third.startswith("wrote joint.tlc: 120 words x ")


def test_retrofit(folder, run):
    code, out, err = run("retrofit", "first.txt", "--lexicon", "lexicon.txt", "-o", "retrofitted.tlc")
    assert (code, out, err) == (0, "wrote retrofitted.tlc: 100 words x 6\n", "")
    before, after = WordVectors.load("first.txt").normalized(), WordVectors.load("retrofitted.tlc")
    assert after["w0"] @ after["w1"] > before["w0"] @ before["w1"]
    assert np.allclose(after["w9"], before["w9"], atol=1e-6)
    code, _, _ = run("retrofit", "first.txt", "--antonyms", "pairs.txt", "-o", "fitted.tlc")
    fitted = WordVectors.load("fitted.tlc")
    assert code == 0
    assert fitted["w0"] @ fitted["w1"] < max(0.01, before["w0"] @ before["w1"] + 1e-6)


def test_align(folder, run):
    options = ["--dictionary", "dictionary.txt", "--test", "test.txt", "-o", "x.tlc", "--out-target", "w.tlc"]
    code, out, err = run("align", "other.txt", "first.txt", *options)
    assert (code, err) == (0, "")
    first, second, _ = out.splitlines()
    assert first == "aligned on 30 pairs; wrote x.tlc and w.tlc"
    assert second.startswith("csls: precision@1 1.0000, precision@5 1.0000 of 70 words; 0 unknown")
    assert np.allclose(np.linalg.norm(WordVectors.load("x.tlc")["x0"]), 1, atol=1e-5)


def test_packaged_vectors_go_by_their_name(folder, run):
    (folder / "lexicon.txt").write_text("good fine\n")
    assert run("retrofit", "base-en", "--lexicon", "lexicon.txt", "--out", "better.tlc")[0] == 0
    same = "".join(f"{word} {word}\n" for word in WordVectors.load("better.tlc").words[:200])
    (folder / "same.txt").write_text(same)
    options = ("--dictionary", "same.txt", "--refinements", "0", "--out", "a.tlc", "--out-target", "b.tlc")
    assert run("align", "better.tlc", "base-en", *options)[0] == 0
    assert len(WordVectors.load("b.tlc")) == 26_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["join", "first.txt", "-o", "first.txt"], "the output must not replace an input"),
        (["join", "first.txt", "--weights", "a", "-o", "o.tlc"], "--weights must be numbers, such as 1,0.5,1; got 'a'"),
        (["join", "first.txt", "--pairs", "pairs.tsv", "--zeros", "-o", "o.tlc"], "are not for --pairs or --train"),
        (["retrofit", "first.txt", "-o", "o.tlc"], "needs --lexicon, or --synonyms and --antonyms, and not both"),
        (["align", "other.txt", "first.txt", "-o", "o.tlc", "--out-target", "o.tlc"], "must be two files"),
    ],
)
def test_wrong_use(arguments, message, folder, run):
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err
