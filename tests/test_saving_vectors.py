"""Word vectors inside saved models and beside them: stored once, reopened by worker processes, referred to."""

from __future__ import annotations

import copy
import mmap
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline

from tlclassic.errors import ArtifactError, CorruptArtifactError, InputError, InvalidParameterError
from tlclassic.features import EmbeddingVectorizer
from tlclassic.pipelines import load, save
from tlclassic.storage import Artifact, ArtifactWriter
from tlclassic.vectors import WordVectors

TEXTS = ["the parcel is late", "wrong bill", "where is my parcel", "the bill is wrong"] * 3
LABELS = ["delivery", "billing"] * 6
WORDS = sorted({word for text in TEXTS for word in text.split()}) + [f"w{i}" for i in range(3000)]
# More than 1 MiB, so that it is mapped and not read.
TABLE = np.random.default_rng(2).standard_normal((len(WORDS), 100)).astype(np.float32)


def make(**options):
    return WordVectors.from_arrays(WORDS, TABLE, **options)


def train(*vectors, **options):
    """One vectoriser a table, side by side."""
    parts = [(f"f{i}", EmbeddingVectorizer(table, **options)) for i, table in enumerate(vectors)]
    features = parts[0][1] if len(parts) == 1 else FeatureUnion(parts)
    return Pipeline([("features", features), ("head", LogisticRegression())]).fit(TEXTS, LABELS)


@pytest.fixture
def store(tmp_path):
    make(oov="mean").save(tmp_path / "v.tlc")
    return tmp_path / "v.tlc"


@pytest.fixture
def model(tmp_path):
    save(train(make(oov="mean"), pooling="sif"), tmp_path / "model.tlc")
    return tmp_path / "model.tlc"


# -- inside the model --------------------------------------------------------------------------------------------------


def test_embedded_vectors_are_mapped_from_the_model(model):
    vectors = load(model)[0].vectors_
    assert (vectors.oov, vectors.path) == ("mean", None)
    assert vectors.origin == (str(model), "vectors/0/")
    base = vectors.table
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


def test_equal_tables_are_stored_once(tmp_path):
    pipeline = train(make(), make(oov="mean"), WordVectors.from_arrays(["parcel"], np.ones((1, 3), "f4")))
    save(pipeline, tmp_path / "m.tlc")
    artifact = Artifact(tmp_path / "m.tlc")
    assert [name for name in artifact.names if name.endswith("/table")] == ["vectors/0/table", "vectors/1/table"]
    loaded = load(tmp_path / "m.tlc")
    first, second, third = (part.vectors_ for _, part in loaded[0].transformer_list)
    assert np.shares_memory(first.table, second.table)
    assert (first.oov, second.oov, third.shape) == ("zero", "mean", (1, 3))
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), pipeline.predict_proba(TEXTS))
    save(loaded, tmp_path / "again.tlc")
    assert (tmp_path / "again.tlc").read_bytes() == (tmp_path / "m.tlc").read_bytes()


def test_pickling_reopens_the_model(model):
    pipeline = load(model)
    data = pickle.dumps(pipeline)
    n_weights = len(WORDS) * 4
    assert len(data) < n_weights + 20_000 < TABLE.nbytes / 20
    again = pickle.loads(data)
    assert again[0].vectors is again[0].vectors_
    assert again[0].vectors_.origin == pipeline[0].vectors_.origin
    np.testing.assert_array_equal(again.predict_proba(TEXTS), pipeline.predict_proba(TEXTS))
    assert len(pickle.dumps(pipeline[0].vectors_)) < 500


def test_a_spawned_process_reopens_the_model(tmp_path, model):
    (tmp_path / "p.pickle").write_bytes(pickle.dumps(load(model)))
    code = (
        f"import pickle; pipeline = pickle.load(open({str(tmp_path / 'p.pickle')!r}, 'rb')); "
        "print(pipeline.predict(['late parcel'])[0], pipeline[0].vectors_.origin.prefix)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout == "delivery vectors/0/\n"


def test_joblib_workers(model):
    pipeline = load(model)
    results = Parallel(n_jobs=2)(delayed(pipeline.predict)(part) for part in (TEXTS[:6], TEXTS[6:]))
    assert np.concatenate(results).tolist() == pipeline.predict(TEXTS).tolist()


def test_clone_and_deepcopy_share_the_table(model):
    pipeline = load(model)
    for other in (clone(pipeline), copy.deepcopy(pipeline), copy.copy(pipeline)):
        assert other[0].vectors is pipeline[0].vectors


def test_a_changed_model_is_refused_by_workers(tmp_path, model):
    pipeline = load(model)
    data = pickle.dumps(pipeline)
    save(pipeline, model, metadata={"another": "file with the same vectors"})
    assert pickle.loads(data).predict(["bill"]).tolist() == ["billing"]
    save(train(WordVectors.from_arrays(["bill"], np.ones((1, 3), "f4"))), model)
    with pytest.raises(CorruptArtifactError, match=r"model\.tlc: the vectors changed after they were sent"):
        pickle.loads(data)
    with ArtifactWriter(model, kind="other"):
        pass
    with pytest.raises(CorruptArtifactError, match="the vectors changed after they were sent"):
        pickle.loads(data)
    model.unlink()
    with pytest.raises(InputError, match="sent to this process by the path of their file, which cannot be read"):
        pickle.loads(data)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda facts: facts.update(prefix="vectors/7/"), "holds no word vectors 'vectors/7/'"),
        (lambda facts: facts.update(prefix=3), "holds no word vectors 3"),
        (lambda facts: facts.update(prefix=""), "the word vectors lack or garble"),
        (lambda facts: facts.update(digest="0" * 64), "holds other vectors than it should"),
        (lambda facts: facts.pop("digest"), "malformed"),
    ],
)
def test_a_spoilt_description_is_refused(tmp_path, model, spoil, match):
    artifact = Artifact(model)
    metadata = artifact.metadata
    spoil(metadata["model"]["steps"][0][1]["state"]["vectors"])
    with ArtifactWriter(tmp_path / "spoilt.tlc", kind="pipeline") as writer:
        writer.metadata.update(metadata)
        for name in artifact.names:
            writer.add(name, artifact.array(name))
    with pytest.raises(CorruptArtifactError, match=match):
        load(tmp_path / "spoilt.tlc")


# -- in a store of their own -------------------------------------------------------------------------------------------


def test_a_model_refers_to_its_store(tmp_path, store):
    pipeline = train(WordVectors.load(store))
    save(pipeline, tmp_path / "m.tlc", vectors="refer")
    assert os.path.getsize(tmp_path / "m.tlc") < 20_000
    loaded = load(tmp_path / "m.tlc")
    assert (loaded[0].vectors_.path, loaded[0].vectors_.oov) == (str(store), "mean")
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), pipeline.predict_proba(TEXTS))
    save(loaded, tmp_path / "m2.tlc", vectors="refer")
    assert (tmp_path / "m2.tlc").read_bytes() == (tmp_path / "m.tlc").read_bytes()


def test_a_store_that_was_moved(tmp_path, store):
    pipeline = train(WordVectors.load(store, oov="zero"))
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "m.tlc"
    save(pipeline, path, vectors="refer")
    (tmp_path / "elsewhere").mkdir()
    moved = store.rename(tmp_path / "elsewhere" / "renamed.tlc")
    with pytest.raises(ArtifactError, match=r"m\.tlc: the store.*was not found.*v\.tlc: cannot be read.*vectors=STORE"):
        load(path)
    for given in (moved, str(moved), WordVectors.load(moved), [moved]):
        loaded = load(path, vectors=given)
        np.testing.assert_array_equal(loaded.predict_proba(TEXTS), pipeline.predict_proba(TEXTS))
        assert loaded[0].vectors_.oov == "zero"
    # Beside the model, under the name it had.
    moved.rename(path.parent / "v.tlc")
    assert load(path)[0].vectors_.path == str(path.parent / "v.tlc")


def test_a_store_that_changed(tmp_path, store):
    pipeline = train(WordVectors.load(store))
    save(pipeline, tmp_path / "m.tlc", vectors="refer")
    make().subset(WORDS[:5]).save(store)
    with pytest.raises(ArtifactError, match=r"v\.tlc: holds other vectors \(digest .*Put it back"):
        load(tmp_path / "m.tlc")
    with pytest.raises(InvalidParameterError, match=r"v\.tlc holds others by now"):
        save(pipeline, tmp_path / "m2.tlc", vectors="refer")
    save(pipeline, tmp_path / "m2.tlc")
    np.testing.assert_array_equal(load(tmp_path / "m2.tlc").predict_proba(TEXTS), pipeline.predict_proba(TEXTS))
    store.write_bytes(b"something else")
    with pytest.raises(ArtifactError, match=r"v\.tlc: .*Put it back"):
        load(tmp_path / "m.tlc")


def test_given_vectors_must_be_those_referred_to(tmp_path, store, model):
    other = WordVectors.from_arrays(["a"], np.ones((1, 3), "f4"))
    save(train(WordVectors.load(store)), tmp_path / "m.tlc", vectors="refer")
    for path, given in ((tmp_path / "m.tlc", other), (model, store)):
        with pytest.raises(InvalidParameterError, match="does not refer to a store with these"):
            load(path, vectors=given)


def test_vectors_without_a_store_are_not_referred_to(tmp_path, model):
    with pytest.raises(InvalidParameterError, match=r"do not come from a store.*tlclassic\.vectors\.convert"):
        save(train(make()), tmp_path / "m.tlc", vectors="refer")
    with pytest.raises(InvalidParameterError, match=r"but lie inside the model .*model\.tlc"):
        save(load(model), tmp_path / "m.tlc", vectors="refer")
    assert not (tmp_path / "m.tlc").exists()


def test_a_model_does_not_replace_the_store_it_refers_to(tmp_path, store):
    pipeline = train(WordVectors.load(store))
    (tmp_path / "link.tlc").symlink_to(store)
    for path in (store, tmp_path / "link.tlc"):
        with pytest.raises(InvalidParameterError, match=r"would replace .*v\.tlc, the store that it refers to"):
            save(pipeline, path, vectors="refer")
    assert len(WordVectors.load(store)) == len(WORDS)
