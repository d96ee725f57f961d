"""The end-to-end example of docs/spacy.md, taken from the page and run on the first sentences of the real corpora."""

from __future__ import annotations

import ast
import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from spacy_cases import installed

pytest.importorskip("spacy")
pytest.importorskip("onnxruntime")

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not installed(), reason="spaCy finds the entry points of an installed tlclassic alone"),
]
PAGE = Path(__file__).resolve().parent.parent / "docs" / "spacy.md"
SENTENCES, STEPS = 100, 60


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(params=["tiny", "real"])
def encoder(request, tmp_path):
    """An encoder with an int8 graph: one made here, and the one that the environment names."""
    if request.param == "real":
        folder = os.environ.get("TLCLASSIC_ENCODER")
        if not folder or not Path(folder).is_dir():
            pytest.skip("TLCLASSIC_ENCODER does not name the folder of an encoder")
        return Path(folder).resolve()
    from tiny_encoder import make_tiny_encoder

    folder = make_tiny_encoder(tmp_path / "tiny")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "onnx" / "model_qint8.onnx")
    return folder


@pytest.fixture
def data(shared, tmp_path):
    """The first sentences of three corpora, under the names that the page has."""
    for name in ("ud_english_ewt", "conll2003", "sst2"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for name in ("ud_english_ewt/train.conllu.gz", "ud_english_ewt/dev.conllu", *_both("conll2003/{}.conll")):
        reader, writer = (gzip.open, gzip.open) if name.endswith(".gz") else (open, open)
        with reader(shared / "data" / name, "rt", encoding="utf-8") as file:
            kept = "\n\n".join(file.read().split("\n\n")[:SENTENCES])
        with writer(tmp_path / "data" / name, "wt", encoding="utf-8") as file:
            file.write(f"{kept}\n\n")
    for name in _both("sst2/{}.tsv"):
        lines = (shared / "data" / name).read_text("utf-8").splitlines(keepends=True)
        (tmp_path / "data" / name).write_text("".join(lines[: SENTENCES + 1]), "utf-8")
    return tmp_path / "data"


def _both(name):
    return [name.format(part) for part in ("train", "dev")]


def test_one_pipeline_from_three_corpora(encoder, data, tmp_path):
    (commands,) = blocks("sh")
    (code,) = [block for block in blocks("python") if "joint/model-best" in block]
    assert commands.count("spacy convert") == 4
    short = f"--output joint --training.max_steps {STEPS} --training.eval_frequency {STEPS // 2}"
    commands = commands.replace("--output joint", short)
    assert commands.count(short) == 1
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "minilm").symlink_to(encoder)
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "DATA": str(data), "PATH": binaries, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}

    def run(*command):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    said = run("bash", "-euo", "pipefail", "-c", commands)
    assert {"TAG", "UAS", "LAS", "NER F"} <= {line[:5].strip() for line in said.splitlines()}
    cats, entities, words = map(ast.literal_eval, run(sys.executable, "-c", code).splitlines())
    assert set(cats) == {"negative", "positive"}
    assert sum(cats.values()) == pytest.approx(1.0)
    assert [word for word, _, _, _ in words] == ["Clint", "Eastwood", "directs", "a", "film", "about", "Japan", "."]
    assert all(tag and relation for _, tag, relation, _ in words)
    assert {kind for _, kind in entities} <= {"PER", "LOC", "ORG", "MISC"}
    # Sixty steps teach the commonest things: what a full stop is.
    assert words[-1][1] == "."
