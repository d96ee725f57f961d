"""CompiledClassifier: labels, probabilities, explanations, files and threads."""

from __future__ import annotations

import copy
import json
import pickle
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tlclassic
from tlclassic.errors import CorruptArtifactError, ForeignArtifactError, InvalidParameterError
from tlclassic.kernels import COMPILED
from tlclassic.runtime import CompiledClassifier
from tlclassic.runtime.classifier import _largest

CASES = runpy.run_path(str(Path(__file__).with_name("runtime_cases.py")))
TEXTS = CASES["TEXTS"]
WORDS = ["a", "film", "fine", "dull", "!", "José"]


def classifier(outputs=4, *, vectors=False, **metadata):
    rng = np.random.default_rng(11)
    families = [
        CASES["ngrams"](rng, outputs, layout="bitmap"),
        CASES["ngrams"](rng, outputs, unit="char", ngrams=[3, 5], norm="l2", counts="sublinear", idf=True),
        CASES["ngrams"](rng, outputs, dtype="float32", punctuation="keep", norm="sqrt"),
    ]
    if vectors:
        families.append(CASES["vectors"](rng, outputs, WORDS))
        families.append(CASES["vectors"](rng, outputs, WORDS, "int8", unknown="ignore"))
    return CompiledClassifier(*CASES["state"](outputs, *families, **metadata))


@pytest.mark.parametrize("outputs", [1, 2, 4, 30])
@pytest.mark.parametrize("vectors", [False, True])
def test_labels_are_those_of_the_largest_logit(outputs, vectors):
    model = classifier(outputs, vectors=vectors)
    logits = model.decision_function(TEXTS)
    assert logits.shape == ((len(TEXTS),) if outputs == 1 else (len(TEXTS), outputs))
    assert logits.dtype == np.float64
    best = (logits > 0).astype(int) if outputs == 1 else logits.argmax(axis=1)
    np.testing.assert_array_equal(model.predict(TEXTS), model.classes_[best])
    proba = model.predict_proba(TEXTS)
    assert proba.shape == (len(TEXTS), max(2, outputs))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(proba.argmax(axis=1), best)


@pytest.mark.parametrize("vectors", [False, True])
def test_copies_and_worker_processes(vectors, tmp_path):
    classifier(vectors=vectors).save(tmp_path / "model.tlc")
    model = CompiledClassifier.load(tmp_path / "model.tlc")
    expected = model.decision_function(TEXTS)
    for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.decision_function(TEXTS), expected)
        assert twin.metadata == model.metadata


@pytest.mark.parametrize("vectors", [False, True])
def test_batches_and_threads_change_nothing(vectors):
    model = classifier(vectors=vectors)
    texts = [f"{text} {i}" for i in range(200) for text in TEXTS[:9]]
    logits, labels = model.decision_function(texts), model.predict(texts)
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(model.decision_function(texts, threads=threads), logits)
        np.testing.assert_array_equal(model.predict(texts, threads=threads), labels)
    singly = np.vstack([model.decision_function([text]) for text in texts[:50]])
    np.testing.assert_array_equal(singly, logits[:50])


@pytest.mark.skipif(not COMPILED, reason="the twin is Python")
def test_others_run_while_texts_are_scored():
    model, texts, ended = classifier(), ["a fine film " * 100] * 20000, threading.Event()

    def work():
        model.predict(texts)
        ended.set()

    interval = sys.getswitchinterval()
    # So long that nobody is asked to let go: this thread goes on only if the other lets go by itself.
    sys.setswitchinterval(1000)
    try:
        other = threading.Thread(target=work)
        other.start()
        assert not ended.is_set()
        other.join()
    finally:
        sys.setswitchinterval(interval)
    assert ended.is_set()


def test_the_first_error_of_several_threads():
    texts = ["a"] * 3000
    texts[2500], texts[700] = None, 3
    with pytest.raises(InvalidParameterError, match=r"X\[700\] must be a string; got 3 "):
        classifier().predict(texts, threads=4)
    with pytest.raises(InvalidParameterError, match="threads must be at least 1; got 0"):
        classifier().predict(["a"], threads=0)


def test_a_list_that_changes_while_it_is_read():
    model, texts, stop = classifier(), ["a fine film " * 20] * 20000, threading.Event()

    def change():
        while not stop.is_set():
            texts[:] = [f"other {len(texts)}"] * len(texts)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        assert len(model.predict(texts)) == 20000
    finally:
        stop.set()
        thread.join()
    shrinking = model.predict([*texts[:1000], "a"])
    assert len(shrinking) == 1001


def test_links():
    rng = np.random.default_rng(0)
    for link, multilabel in (("ovr", False), ("sigmoid", True), ("softmax", False)):
        model = CompiledClassifier(
            *CASES["state"](3, CASES["ngrams"](rng, 3), link=link, multilabel=multilabel)
        )  # fmt: skip
        logits, proba = model.decision_function(TEXTS), model.predict_proba(TEXTS)
        expected = 1 / (1 + np.exp(-logits)) if link != "softmax" else np.exp(logits)
        if not multilabel:
            expected = expected / expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(proba, expected)


def test_probabilities_of_huge_logits():
    metadata, arrays = CASES["state"](1)
    for bias, expected in ((800.0, [0.0, 1.0]), (-800.0, [1.0, 0.0])):
        arrays["bias"][:] = bias
        np.testing.assert_array_equal(CompiledClassifier(metadata, arrays).predict_proba(["a"]), [expected])
    metadata, arrays = CASES["state"](3, link="ovr")
    arrays["bias"][:] = -800.0
    np.testing.assert_allclose(CompiledClassifier(metadata, arrays).predict_proba(["a"]), [[1 / 3] * 3])


def test_without_probabilities():
    model = classifier(3, link="none")
    assert model.predict(["a"]).shape == (1,)
    assert model.explain("a fine film").probability is None
    for call in (model.predict_proba, lambda X: model.predict_topk(X, 1)):
        with pytest.raises(InvalidParameterError, match="has no probabilities"):
            call(["a"])


def test_several_labels_a_text():
    metadata, arrays = CASES["state"](3, multilabel=True, link="sigmoid")
    arrays["bias"][:] = [-1.0, 0.0, 1.0]
    assert CompiledClassifier(metadata, arrays).predict(["a", "b"]).tolist() == [[0, 0, 1], [0, 0, 1]]
    arrays["thresholds"] = np.array([0.2, 0.5, 0.9])
    found = CompiledClassifier(metadata, arrays).predict(["a"])
    assert found.tolist() == [[1, 1, 0]]
    assert found.dtype == np.int64


def test_top_k():
    model = classifier(30)
    labels, proba = model.predict_topk(TEXTS, 3)
    everything = model.predict_proba(TEXTS)
    order = np.argsort(-everything, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(labels, model.classes_[order])
    np.testing.assert_array_equal(proba, np.take_along_axis(everything, order, axis=1))
    labels, proba = classifier(1).predict_topk(TEXTS, 2)
    np.testing.assert_array_equal(labels[:, 0], classifier(1).predict(TEXTS))
    assert (proba[:, 0] >= proba[:, 1]).all()
    with pytest.raises(InvalidParameterError, match="k must be at most 30; got 31"):
        model.predict_topk(TEXTS, 31)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_equal_ones_come_in_the_order_of_the_classes(k):
    values = np.array([[0.0, 2.0, 1.0, 2.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0]])
    assert _largest(values, k).tolist() == [[1, 3, 5, 2, 4, 0, 6, 7, 8, 9][:k]]


def test_classes_keep_their_type():
    for name, classes in (("int64", [3, -7]), ("bool", [False, True]), ("float64", [0.5, 2.0])):
        model = CompiledClassifier(*CASES["state"](1, classes=classes, classes_dtype=name))
        assert model.classes_.dtype == np.dtype(name)
        assert model.predict(["a"])[0] in classes


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("text", TEXTS)
def test_explanations_sum_to_the_logit(outputs, text):
    model = classifier(outputs, vectors=True)
    logits = model.decision_function([text]).reshape(-1)
    for number, label in enumerate(model.classes_.tolist()):
        found = model.explain(text, label)
        logit = logits[number] if outputs > 1 else logits[0] * (1 if number else -1)
        assert found.label == label
        assert found.logit == pytest.approx(logit)
        assert found.bias + sum(part.weight for part in found.contributions) == pytest.approx(logit)
        assert found.probability == pytest.approx(model.predict_proba([text])[0, number])
        assert all(part.text == text[part.start : part.end] for part in found.contributions if part.family != "vectors")
        json.dumps(found.as_dict())
    assert model.explain(text).label == model.predict([text])[0]


def test_an_explanation_is_readable():
    rng = np.random.default_rng(0)
    family, arrays = CASES["ngrams"](rng, 2, ngrams=[1, 1], dtype="float32")
    arrays["table"][:] = 0.25
    metadata, arrays = CASES["state"](2, (family, arrays))
    arrays["bias"][:] = [1.0, 2.0]
    found = CompiledClassifier(metadata, arrays).explain("Fine film", "c0")
    assert str(found).splitlines() == [
        "c0: logit 1.2500, probability 0.269",
        "   +1.0000  (bias)",
        "   +0.1250  'Fine' [0:4] word",
        "   +0.1250  'film' [5:9] word",
    ]
    long = CompiledClassifier(metadata, arrays).explain(" ".join(f"w{i}" for i in range(50)))
    assert str(long).endswith("(30 more)")
    with pytest.raises(InvalidParameterError, match=r"label must be one of the classes \('c0', 'c1'\); got 'x'"):
        CompiledClassifier(metadata, arrays).explain("a", "x")
    with pytest.raises(InvalidParameterError, match="text must be a string; got 3"):
        CompiledClassifier(metadata, arrays).explain(3)


@pytest.mark.parametrize("vectors", [False, True])
def test_saved_and_loaded(tmp_path, vectors):
    model = classifier(vectors=vectors, provenance={"data": "sha256:1"}, report={"steps": [1, 2]})
    path = tmp_path / "model.tlc"
    model.save(path)
    for again in (CompiledClassifier.load(path), tlclassic.load(path)):
        np.testing.assert_array_equal(again.decision_function(TEXTS), model.decision_function(TEXTS))
        assert again.metadata == model.metadata
        assert again.metadata["provenance"] == {"data": "sha256:1"}
        assert again.nbytes == model.nbytes
    with pytest.raises(ForeignArtifactError, match="holds 'compiled', not 'vectors'"):
        tlclassic.storage.Artifact(path, kind="vectors")


def test_large_tables_are_mapped(tmp_path):
    rng = np.random.default_rng(0)
    model = CompiledClassifier(*CASES["state"](4, CASES["ngrams"](rng, 4, bits=19)))
    model.save(tmp_path / "model.tlc")
    again = CompiledClassifier.load(tmp_path / "model.tlc")
    table = again._families[0]["table"]
    assert not table.flags.owndata
    assert not table.flags.writeable
    np.testing.assert_array_equal(again.predict(TEXTS), model.predict(TEXTS))
    raw = bytearray((tmp_path / "model.tlc").read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "bad.tlc").write_bytes(raw)
    with pytest.raises(CorruptArtifactError, match="damaged"):
        tlclassic.load(tmp_path / "bad.tlc")


def test_a_process_that_labels_a_text_imports_little(tmp_path):
    classifier().save(tmp_path / "model.tlc")
    code = (
        "import sys, numpy; before = set(sys.modules)\n"
        "from tlclassic.runtime import CompiledClassifier\n"
        f"CompiledClassifier.load({str(tmp_path / 'model.tlc')!r}).predict(['a fine film'])\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    new = done.stdout.split()
    assert "tlclassic.runtime" in new
    for heavy in (
        "sklearn",
        "scipy",
        "pyarrow",
        "pandas",
        "typer",
        "tlclassic.text",
        "tlclassic.vectors",
        "threading_",
    ):
        assert heavy not in new
