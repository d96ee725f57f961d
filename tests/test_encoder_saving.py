"""Pipelines with a transformer encoder: one file, or a reference to the folder; and classifiers on real graphs."""

import json
import os
import pickle
import shutil

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline

import tlclassic
from tests.tiny_encoder import make_tiny_encoder
from tlclassic import OnnxEncoder
from tlclassic.errors import ArtifactError, CorruptArtifactError, InvalidParameterError
from tlclassic.heads.encoder_heads import HeadTask, write_heads
from tlclassic.storage import Artifact, ArtifactWriter

TEXTS = ["a good film", "a bad film", "good", "bad bad day", "", "what a good day", "so bad", "a film"] * 3
LABELS = ["+", "-", "+", "-", "+", "+", "-", "-"] * 3


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "encoder"
    make_tiny_encoder(path)
    return path


@pytest.fixture
def pipeline(folder):
    return make_pipeline(OnnxEncoder(str(folder), threads=1), LogisticRegression()).fit(TEXTS, LABELS)


def files_below(path):
    return {str(item): item.stat().st_mtime_ns for item in path.rglob("*")}


def test_one_file_needs_no_folder_and_writes_nothing(tmp_path, folder, pipeline):
    expected = pipeline.predict_proba(TEXTS)
    path = tmp_path / "model.tlc"
    tlclassic.save(pipeline, path)
    shutil.rmtree(folder)
    before = files_below(tmp_path)
    model = tlclassic.load(path)
    assert np.array_equal(model.predict_proba(TEXTS), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(TEXTS), expected)
    assert files_below(tmp_path) == before
    again = tmp_path / "again.tlc"
    tlclassic.save(model, again)
    assert np.array_equal(tlclassic.load(again).predict_proba(TEXTS), expected)


def test_a_reference_is_found_where_it_was_beside_the_model_and_where_it_is_said_to_be(tmp_path, folder, pipeline):
    expected = pipeline.predict_proba(TEXTS)
    path = tmp_path / "models" / "model.tlc"
    path.parent.mkdir()
    tlclassic.save(pipeline, path, vectors="refer")
    assert path.stat().st_size < 20_000
    assert np.array_equal(tlclassic.load(path).predict_proba(TEXTS), expected)
    shutil.move(folder, tmp_path / "models" / "encoder")
    assert np.array_equal(tlclassic.load(path).predict_proba(TEXTS), expected)
    shutil.move(tmp_path / "models" / "encoder", tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=r"encoder: no such folder.*load\(path, vectors=FOLDER\)"):
        tlclassic.load(path)
    model = tlclassic.load(path, vectors=tmp_path / "elsewhere")
    assert np.array_equal(model.predict_proba(TEXTS), expected)


def test_a_folder_that_changed_is_refused(tmp_path, folder, pipeline):
    path = tmp_path / "model.tlc"
    tlclassic.save(pipeline, path, vectors="refer")
    make_tiny_encoder(tmp_path / "other", seed=1)
    with pytest.raises(InvalidParameterError, match="does not refer to one with these files"):
        tlclassic.load(path, vectors=tmp_path / "other")
    shutil.rmtree(folder)
    with pytest.raises(ArtifactError, match=r"is another one \(SHA-256"):
        tlclassic.load(path, vectors=tmp_path / "other")
    shutil.move(tmp_path / "other", folder)
    with pytest.raises(ArtifactError, match=r"is another one \(SHA-256"):
        tlclassic.load(path)


def test_an_embedded_encoder_cannot_be_referred_to(tmp_path, pipeline):
    tlclassic.save(pipeline, tmp_path / "model.tlc")
    with pytest.raises(InvalidParameterError, match="does not come from a folder"):
        tlclassic.save(tlclassic.load(tmp_path / "model.tlc"), tmp_path / "other.tlc", vectors="refer")


def test_a_tampered_file_is_refused(tmp_path, pipeline):
    path = tmp_path / "model.tlc"
    tlclassic.save(pipeline, path)
    artifact = Artifact(path)
    graph = next(name for name in artifact.names if name.endswith(".onnx"))
    blocks = {name: np.array(artifact.array(name)) for name in artifact.names}
    metadata = artifact.metadata
    del artifact

    def write(blocks):
        with ArtifactWriter(path, kind="pipeline") as writer:
            writer.metadata.update(metadata)
            for name, array in blocks.items():
                writer.add(name, array)

    changed = blocks[graph].copy()
    changed[-50] ^= 1
    write({**blocks, graph: changed})
    with pytest.raises(CorruptArtifactError, match=r"\.onnx is not what was saved \(SHA-256 differs\)"):
        tlclassic.load(path).predict(TEXTS)
    write({name: array for name, array in blocks.items() if not name.endswith("tokenizer.json")})
    with pytest.raises(CorruptArtifactError, match=r"tokenizer\.json is missing"):
        tlclassic.load(path)
    raw = bytearray(path.read_bytes())
    raw[500] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptArtifactError):
        tlclassic.load(path)


@pytest.mark.parametrize("params", [{"no_such": 1}, {"cache": True}, {"model": "/"}, {"pooling": "sideways"}, 3])
def test_altered_parameters_are_refused(tmp_path, pipeline, params):
    path = tmp_path / "model.tlc"
    tlclassic.save(pipeline, path)
    artifact = Artifact(path)
    metadata = json.loads(json.dumps(artifact.metadata))
    metadata["model"]["steps"][0][1]["state"]["params"] = params
    blocks = {name: np.array(artifact.array(name)) for name in artifact.names}
    del artifact
    with ArtifactWriter(path, kind="pipeline") as writer:
        writer.metadata.update(metadata)
        for name, array in blocks.items():
            writer.add(name, array)
    with pytest.raises(CorruptArtifactError):
        tlclassic.load(path)


def test_equal_encoders_are_kept_once_and_options_stay(tmp_path, folder):
    parts = [(pooling, OnnxEncoder(str(folder), pooling=pooling, max_length=5)) for pooling in ("mean", "max")]
    model = make_pipeline(FeatureUnion(parts), LogisticRegression()).fit(TEXTS, LABELS)
    path = tmp_path / "model.tlc"
    tlclassic.save(model, path)
    assert sum(name.endswith(".onnx") for name in Artifact(path).names) == 1
    loaded = tlclassic.load(path)
    assert np.array_equal(loaded.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert [part.max_length for _, part in loaded[0].transformer_list] == [5, 5]


def test_an_encoder_alone_is_saved(tmp_path, folder):
    encoder = OnnxEncoder(str(folder), cache=str(tmp_path / "cache"))
    tlclassic.save(encoder, tmp_path / "encoder.tlc")
    loaded = tlclassic.load(tmp_path / "encoder.tlc")
    assert loaded.cache is None
    assert np.array_equal(loaded.transform(TEXTS), encoder.transform(TEXTS))


def test_weights_in_a_file_of_their_own_are_refused_by_name(tmp_path, folder):
    onnx = pytest.importorskip("onnx")
    (graph,) = folder.rglob("*.onnx")
    model = onnx.load(graph)
    onnx.save_model(model, graph, save_as_external_data=True, location="model.onnx_data", size_threshold=256)
    pipeline = make_pipeline(OnnxEncoder(str(folder)), LogisticRegression()).fit(TEXTS, LABELS)
    with pytest.raises(InvalidParameterError, match=r"weights in a file of their own, .*model\.onnx_data"):
        tlclassic.save(pipeline, tmp_path / "model.tlc")
    assert not (tmp_path / "model.tlc").exists()


# -- the cache and the classifier with a real encoder ----------------------------------------------------------------


def count_runs(monkeypatch):
    """A list that grows with the number of texts each time a session runs."""
    import onnxruntime

    runs = []
    run = onnxruntime.InferenceSession.run

    def counted(self, names, feed, *rest, **options):
        runs.append(len(next(iter(feed.values()))))
        return run(self, names, feed, *rest, **options)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", counted)
    return runs


def test_a_grid_search_encodes_each_text_once(tmp_path, folder, monkeypatch):
    model = make_pipeline(OnnxEncoder(str(folder), cache=str(tmp_path / "cache")), LogisticRegression())
    runs = count_runs(monkeypatch)
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1.0, 10.0]}, cv=3).fit(TEXTS, LABELS)
    assert sum(runs) == len(set(TEXTS))
    del runs[:]
    second = make_pipeline(OnnxEncoder(str(folder), cache=str(tmp_path / "cache")), LogisticRegression(C=3))
    assert second.fit(TEXTS, LABELS).score(TEXTS, LABELS) > 0.5
    assert runs == []
    assert search.best_estimator_.predict(["a good film"]).shape == (1,)


def test_other_options_are_other_entries(tmp_path, folder, monkeypatch):
    cache = str(tmp_path / "cache")
    plain = OnnxEncoder(str(folder)).transform(TEXTS)
    runs = count_runs(monkeypatch)
    assert np.allclose(OnnxEncoder(str(folder), cache=cache).transform(TEXTS), plain, atol=1e-5)
    for options in ({"pooling": "max"}, {"max_length": 3}, {"normalize": False}):
        del runs[:]
        kept = OnnxEncoder(str(folder), cache=cache, **options).transform(TEXTS)
        assert runs, options
        assert np.allclose(kept, OnnxEncoder(str(folder), **options).transform(TEXTS), atol=1e-5)


def test_what_a_graph_pools_itself_is_another_entry_than_the_mean(tmp_path):
    made = make_tiny_encoder(tmp_path / "e", normalize=False)
    model = onnx.load(made / "onnx/model.onnx")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), "axes"))
    node = onnx.helper.make_node("ReduceSum", ["last_hidden_state", "axes"], ["sentence_embedding"], keepdims=0)
    model.graph.node.append(node)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("sentence_embedding", onnx.TensorProto.FLOAT, ["batch", 16])
    )
    onnx.save(model, made / "onnx/model.onnx")
    options = {"model": str(made), "cache": str(tmp_path / "cache")}
    said = OnnxEncoder(**options).transform(["a good film"])
    (made / "modules.json").unlink()
    # A pooling beside the graph counts as said, whether modules.json names it or not.
    np.testing.assert_array_equal(OnnxEncoder(**options).transform(["a good film"]), said)
    (made / "1_Pooling/config.json").unlink()
    own, mean = (OnnxEncoder(**options, **more).transform(["a good film"]) for more in ({}, {"pooling": "mean"}))
    np.testing.assert_array_equal(mean, said)
    # [CLS] a good film [SEP]
    np.testing.assert_allclose(own, said * 5, rtol=1e-5)


def test_the_activation_of_a_dense_layer_is_part_of_the_key(tmp_path):
    made = make_tiny_encoder(tmp_path / "e", normalize=False)
    plain = OnnxEncoder(str(made)).transform(["a good film"])
    modules = json.loads((made / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (made / "modules.json").write_text(json.dumps(modules))
    (made / "2_Dense").mkdir()
    save_file({"linear.weight": np.eye(16, dtype=np.float32)}, made / "2_Dense/model.safetensors")
    for activation, function in (("linear.Identity", lambda x: x), ("activation.Tanh", np.tanh)):
        (made / "2_Dense/config.json").write_text(json.dumps({"activation_function": f"torch.nn.modules.{activation}"}))
        found = OnnxEncoder(str(made), cache=str(tmp_path / "cache")).transform(["a good film"])
        np.testing.assert_allclose(found, function(plain), rtol=1e-5)


def test_a_folder_of_fine_tuning_is_loaded(folder):
    dim = OnnxEncoder(str(folder)).dim
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(8, dim)), rng.normal(size=8)), (rng.normal(size=(2, 8)), np.zeros(2))]
    write_heads(folder, [HeadTask("label", ["-", "+"], layers, activation="tanh")], {"task": {"text": "review"}})
    model = tlclassic.load(folder)
    vectors = OnnxEncoder(str(folder)).transform(TEXTS)
    (first, bias), (second, _) = layers
    expected = np.tanh(vectors @ first.T + bias) @ second.T
    assert np.allclose(model.decision_function(TEXTS), expected, atol=1e-4)
    with pytest.raises(InvalidParameterError, match="Its folder is its saved form"):
        tlclassic.save(model, folder.parent / "model.tlc")
    assert pickle.loads(pickle.dumps(model)).predict(TEXTS).tolist() == model.predict(TEXTS).tolist()


def test_a_sequence_classifier_is_loaded(tmp_path):
    folder = tmp_path / "classifier"
    make_tiny_encoder(folder, output="logits")
    logits = OnnxEncoder(str(folder)).logits(TEXTS)
    config = json.loads((folder / "config.json").read_text())
    names = {str(i): f"class {i}" for i in range(logits.shape[1])}
    (folder / "config.json").write_text(json.dumps({**config, "id2label": names}))
    model = tlclassic.load(folder)
    assert model.predict(TEXTS).tolist() == [f"class {i}" for i in logits.argmax(axis=1)]


def test_a_folder_can_be_given_as_a_path_object(folder):
    assert OnnxEncoder(folder).transform(["a"]).shape[0] == 1
    assert os.fspath(folder)
