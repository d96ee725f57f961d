"""``EncoderClassifier`` on folders: what it predicts, by hand, on vectors that count letters."""

import json
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

import tlclassic.encoders
from tlclassic.errors import CorruptArtifactError, EncoderFormatError, InvalidParameterError
from tlclassic.heads.encoder_classifier import EncoderClassifier, folder_task, open_encoder_folder
from tlclassic.heads.encoder_heads import HeadTask, write_heads
from tlclassic.pipelines.applying import class_names, has_probabilities, predict_texts

TEXTS = ["aab", "bb", "", "abbb"]


class Letters:
    """An encoder whose vectors are the numbers of a and b; made as the real one is, and counting what it encodes."""

    calls = 0

    def __init__(self, model, *, file="auto", max_length=None, threads=None, cache=None, progress=None):
        self.model = model
        self.options = {"file": file, "max_length": max_length, "threads": threads, "cache": cache}

    @property
    def output(self):
        with open(f"{self.model}/letters.json") as file:
            return json.load(file)["output"]

    dim = 2

    def transform(self, texts):
        assert self.output == "pooled"
        return self._rows(texts)

    def logits(self, texts):
        assert self.output == "logits"
        with open(f"{self.model}/letters.json") as file:
            columns = json.load(file)["columns"]
        return self._rows(texts)[:, columns] - np.float32(0.5)

    def _rows(self, texts):
        type(self).calls += 1
        return np.array([[text.count("a"), text.count("b")] for text in texts], dtype=np.float32).reshape(-1, 2)


@pytest.fixture(autouse=True)
def letters(monkeypatch):
    monkeypatch.setattr(tlclassic.encoders, "OnnxEncoder", Letters, raising=False)
    monkeypatch.setattr(Letters, "calls", 0)


SENTIMENT = HeadTask("sentiment", ["neg", "pos"], [(np.eye(2), [0.0, 0.5])])
STARS = HeadTask("stars", [1, 3, 5], [([[1, 0], [0, 1], [0.5, 0.5]], [0, 0, 0.1])])
TOPICS = HeadTask("topics", ["x", "y"], [(np.eye(2), [-1.5, -1.5])], multilabel=True)


def fine_tuned(folder, *tasks, provenance=None):
    folder.mkdir(exist_ok=True)
    (folder / "letters.json").write_text(json.dumps({"output": "pooled"}))
    write_heads(folder, tasks or [SENTIMENT, STARS, TOPICS], provenance or {})
    return folder


def sequence(folder, columns=(0, 1), **config):
    folder.mkdir(exist_ok=True)
    (folder / "letters.json").write_text(json.dumps({"output": "logits", "columns": list(columns)}))
    (folder / "config.json").write_text(json.dumps(config))
    return folder


# -- fine-tuned folders ----------------------------------------------------------------------------------------------


def test_the_first_task_is_the_default_one(tmp_path):
    model = EncoderClassifier(fine_tuned(tmp_path / "m"))
    assert model.tasks == ["sentiment", "stars", "topics"]
    assert model.classes_.tolist() == ["neg", "pos"]
    assert (model.multilabel_, model.labels, model.thresholds_) == (False, None, None)
    assert model.predict(TEXTS).tolist() == ["neg", "pos", "pos", "pos"]
    assert model.decision_function(["aab"]).tolist() == [[2.0, 1.5]]
    half = 1 / (1 + np.exp(-0.5))
    assert model.predict_proba(["aab"])[0].tolist() == pytest.approx([half, 1 - half])
    assert model.predict_log_proba(["aab"])[0].tolist() == pytest.approx(np.log([half, 1 - half]))
    assert model.transform(["aab"]).tolist() == [[2.0, 1.0]]
    assert model.score(TEXTS, ["neg", "pos", "neg", "pos"]) == 0.75


def test_the_task_is_a_parameter(tmp_path):
    folder = fine_tuned(tmp_path / "m")
    stars = EncoderClassifier(folder, task="stars")
    assert stars.predict(TEXTS).tolist() == [1, 3, 5, 3]
    assert stars.predict(TEXTS).dtype == np.int64
    assert stars.set_params(task="topics").predict(TEXTS).tolist() == [[1, 0], [0, 1], [0, 0], [0, 1]]
    assert stars.labels == ["x", "y"]
    with pytest.raises(InvalidParameterError, match="task must be one of 'sentiment', 'stars', 'topics'; got 'star'"):
        open_encoder_folder(folder, task="star")


def test_all_tasks_encode_once(tmp_path):
    predicted = EncoderClassifier(fine_tuned(tmp_path / "m")).predict_tasks(["aab", "bb"])
    assert Letters.calls == 1
    assert {name: labels.tolist() for name, labels in predicted.items()} == {
        "sentiment": ["neg", "pos"],
        "stars": [1, 3],
        "topics": [[1, 0], [0, 1]],
    }


def test_thresholds_are_used(tmp_path):
    topics = HeadTask("topics", ["x", "y"], [(np.eye(2), [-1.5, -1.5])], multilabel=True, thresholds=[0.7, 0.3])
    model = EncoderClassifier(fine_tuned(tmp_path / "m", topics))
    # sigmoid(0.5) = 0.62, sigmoid(-0.5) = 0.38
    assert model.predict(["aab"]).tolist() == [[0, 1]]
    assert model.thresholds_.tolist() == [0.7, 0.3]


def test_pipelines_helpers_encode_once(tmp_path):
    folder = fine_tuned(tmp_path / "m", TOPICS, SENTIMENT)
    model = open_encoder_folder(folder)
    labels = folder_task(folder)["labels"]
    assert has_probabilities(model)
    assert class_names(model, labels) == ["x", "y"]
    got = predict_texts(model, TEXTS, labels=labels, proba=True)
    assert Letters.calls == 1
    assert got.labels == [["x"], ["y"], [], ["y"]]
    assert got.proba[2].tolist() == pytest.approx([1 / (1 + np.exp(1.5))] * 2)
    single = open_encoder_folder(folder, task="sentiment")
    assert predict_texts(single, TEXTS).labels == ["neg", "pos", "pos", "pos"]
    assert predict_texts(single, [], proba=True).proba.shape == (0, 2)


def test_the_task_of_a_folder(tmp_path):
    said = {"task": {"text": "body", "label": "verdict", "separator": "|", "more": 1}}
    one = fine_tuned(tmp_path / "one", SENTIMENT, provenance=said)
    columns = {"text": "body", "label": "verdict", "separator": "|"}
    assert folder_task(one) == {**columns, "multilabel": False, "labels": None}
    several = fine_tuned(tmp_path / "several", provenance=said)
    assert folder_task(several)["label"] == "sentiment"
    assert folder_task(several, "topics") == {**columns, "label": "topics", "multilabel": True, "labels": ["x", "y"]}
    for odd in ({"task": "label"}, {"task": {"text": 3, "label": "", "separator": None}}, {}):
        folder = fine_tuned(tmp_path / "odd", SENTIMENT, provenance=odd)
        assert folder_task(folder) == {"multilabel": False, "labels": None}


def test_options_reach_the_encoder(tmp_path):
    model = EncoderClassifier(fine_tuned(tmp_path / "m"), file="int8", max_length=32, threads=1, cache=True)
    assert model.encoder.options == {"file": "int8", "max_length": 32, "threads": 1, "cache": True}
    assert model.set_params(threads=2).encoder.options["threads"] == 2
    assert model.encoder is model.encoder


# -- sequence classifiers --------------------------------------------------------------------------------------------


def test_a_sequence_classifier_takes_its_names_from_the_config(tmp_path):
    folder = sequence(tmp_path / "m", id2label={"1": "pos", "0": "neg"})
    model = open_encoder_folder(folder)
    assert model.predict(TEXTS).tolist() == ["neg", "pos", "neg", "pos"]
    assert model.decision_function(["aab"]).tolist() == [[1.5, 0.5]]
    assert model.tasks == ["label"]
    assert model.set_params(task="label").predict(["b"]).tolist() == ["pos"]
    assert model.predict_tasks(["b"])["label"].tolist() == ["pos"]
    assert folder_task(folder) == {"multilabel": False, "labels": None}
    with pytest.raises(InvalidParameterError, match="task must be one of 'label'; got 'topic'"):
        open_encoder_folder(folder, task="topic")


def test_names_that_are_not_written_are_those_of_transformers(tmp_path):
    assert open_encoder_folder(sequence(tmp_path / "m")).predict(["b"]).tolist() == ["LABEL_1"]


def test_a_multi_label_sequence_classifier(tmp_path):
    config = {"id2label": {"0": "x", "1": "y"}, "problem_type": "multi_label_classification"}
    folder = sequence(tmp_path / "m", **config)
    assert open_encoder_folder(folder).predict(["ab", "a", ""]).tolist() == [[1, 1], [1, 0], [0, 0]]
    assert folder_task(folder) == {"multilabel": True, "labels": ["x", "y"]}
    one = sequence(tmp_path / "one", columns=[1], id2label={"0": "y"}, problem_type="multi_label_classification")
    assert open_encoder_folder(one).predict(["ab", "a"]).tolist() == [[1], [0]]
    assert open_encoder_folder(one).labels == ["y"]


def test_one_logit_is_that_of_the_second_of_two_classes(tmp_path):
    model = open_encoder_folder(sequence(tmp_path / "m", columns=[1], id2label={"0": "LABEL_0"}))
    assert model.predict(["b", "a"]).tolist() == [1, 0]
    assert model.decision_function(["b", "a"]).tolist() == [0.5, -0.5]
    p = 1 / (1 + np.exp(-0.5))
    assert model.predict_proba(["b"])[0].tolist() == pytest.approx([1 - p, p])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"id2label": {"0": "a", "1": "b"}, "problem_type": "regression"}, "predicts a number"),
        ({"id2label": {"0": "a", "1": "a"}}, "a name of its own"),
        ({"id2label": {"0": "a", "2": "b"}}, "a name of its own"),
        ({"id2label": {"0": "a", "1": 3}}, "a name of its own"),
        ({"id2label": {}}, "a name of its own"),
        ({"id2label": ["a", "b"]}, "a name of its own"),
    ],
)
def test_configs_that_name_no_classes_are_refused(tmp_path, config, message):
    with pytest.raises(EncoderFormatError, match=message):
        open_encoder_folder(sequence(tmp_path / "m", **config))


def test_more_names_than_logits_are_refused(tmp_path):
    model = open_encoder_folder(sequence(tmp_path / "m", id2label={"0": "a", "1": "b", "2": "c"}))
    with pytest.raises(EncoderFormatError, match=r"gives 2 logits, but config.json names 3 labels"):
        model.predict(["a"])


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\xff"])
def test_damaged_configs_are_refused(tmp_path, text):
    folder = sequence(tmp_path / "m")
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(EncoderFormatError, match=r"config.json: (not valid JSON|must hold an object)"):
        open_encoder_folder(folder)


# -- folders that are none -------------------------------------------------------------------------------------------


def test_an_encoder_without_a_head_is_refused(tmp_path):
    folder = fine_tuned(tmp_path / "m")
    (folder / "heads.tlc").unlink()
    with pytest.raises(EncoderFormatError, match=r"there is no classifier in this folder.*opened with OnnxEncoder"):
        open_encoder_folder(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(EncoderFormatError, match="there is no classifier in this folder"):
        folder_task(folder)


def test_heads_of_another_encoder_are_refused(tmp_path):
    wide = HeadTask("label", ["a", "b"], [(np.ones((2, 3)), np.zeros(2))])
    with pytest.raises(EncoderFormatError, match="vectors of 3 numbers, but the encoder beside them gives 2"):
        open_encoder_folder(fine_tuned(tmp_path / "m", wide))


def test_wrong_paths_are_refused(tmp_path):
    with pytest.raises(EncoderFormatError, match="there is no such folder"):
        open_encoder_folder(tmp_path / "nowhere")
    with pytest.raises(InvalidParameterError, match="model must be the path of a folder; got 3"):
        EncoderClassifier(3).open()
    folder = fine_tuned(tmp_path / "m")
    (folder / "heads.tlc").write_bytes((folder / "heads.tlc").read_bytes()[:-10])
    with pytest.raises(CorruptArtifactError, match="truncated"):
        open_encoder_folder(folder)


# -- scikit-learn ----------------------------------------------------------------------------------------------------


def test_nothing_is_opened_before_it_is_used():
    model = EncoderClassifier("nowhere", task="x")
    assert model.get_params()["task"] == "x"
    assert repr(model) == "EncoderClassifier(model='nowhere', task='x')"
    assert set(vars(model)) == set(model.get_params())


def test_clones_and_copies_predict_the_same(tmp_path):
    model = open_encoder_folder(fine_tuned(tmp_path / "m"), task="stars")
    for other in (clone(model), pickle.loads(pickle.dumps(model))):
        assert other.predict(TEXTS).tolist() == [1, 3, 5, 3]
    check_is_fitted(clone(model))


def test_a_relative_path_is_found_from_another_folder(tmp_path, monkeypatch):
    fine_tuned(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(EncoderClassifier("m").open())
    monkeypatch.chdir("/")
    assert pickle.loads(sent).predict(["a"]).tolist() == ["neg"]


def test_fit_says_what_to_do_instead(tmp_path):
    with pytest.raises(InvalidParameterError, match=r"cannot be fitted.*tlclassic finetune.*OnnxEncoder"):
        EncoderClassifier(fine_tuned(tmp_path / "m")).fit(["a"], ["x"])
