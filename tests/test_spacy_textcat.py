"""``tlclassic_textcat``: annotations, saving, other processes, training, explanations."""

from __future__ import annotations

import numpy as np
import pytest
from spacy_cases import CORNERS, LABELS, TEXTS, save_compiled

import tlclassic
from tlclassic import NgramClassifier
from tlclassic.errors import ArtifactError, InputError, InvalidParameterError

spacy = pytest.importorskip("spacy")
from spacy.tokens import Doc  # noqa: E402
from spacy.training import Example  # noqa: E402

from tlclassic.spacy_ext import register  # noqa: E402

register()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_compiled(tmp_path_factory.mktemp("model"))


def pipeline(path, **config):
    nlp = spacy.blank("en")
    nlp.add_pipe("tlclassic_textcat", config={"model": None if path is None else str(path), **config})
    return nlp


def examples(nlp, cats):
    return [Example.from_dict(nlp.make_doc(text), {"cats": row}) for text, row in zip(TEXTS, cats, strict=True)]


CATS = [{"pos": float(label == "pos"), "neg": float(label == "neg")} for label in LABELS]


def test_scores_are_those_of_the_model(path):
    nlp = pipeline(path)
    assert nlp.get_pipe("tlclassic_textcat").labels == ("neg", "pos")
    assert nlp.analyze_pipes()["summary"]["tlclassic_textcat"]["assigns"] == ["doc.cats", "doc._.tlclassic"]
    expected = tlclassic.load(path).predict_proba(TEXTS)
    docs = list(nlp.pipe(TEXTS, batch_size=4))
    for doc, row, label in zip(docs, expected.tolist(), LABELS, strict=True):
        assert doc.cats == {"neg": row[0], "pos": row[1]}
        assert doc._.tlclassic == {"tlclassic_textcat": {"label": label, "scores": doc.cats}}
    assert nlp(TEXTS[0]).cats == docs[0].cats


def test_labels_keep_their_type(tmp_path):
    for labels, first in (([1, 1, 1, 2, 2, 2], 1), ([True] * 3 + [False] * 3, True)):
        doc = pipeline(save_compiled(tmp_path, labels))("good film")
        assert set(doc.cats) == {str(label) for label in labels}
        label = doc._.tlclassic["tlclassic_textcat"]["label"]
        assert label == first
        assert type(label) is type(first)


def test_several_labels(tmp_path):
    y = np.array([[1, 0], [1, 1], [1, 0], [0, 1], [0, 0], [0, 1]])
    path = save_compiled(tmp_path, y)
    nlp = pipeline(path, threshold=0.3)
    model = tlclassic.load(path)
    doc = nlp("good film")
    assert doc.cats == dict(zip(map(str, model.classes_.tolist()), model.predict_proba(["good film"])[0], strict=True))
    chosen = doc._.tlclassic["tlclassic_textcat"]["labels"]
    assert chosen == [label for label in model.classes_.tolist() if doc.cats[str(label)] >= 0.3]


def test_a_scikit_learn_pipeline(tmp_path):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(TEXTS, LABELS)
    tlclassic.save(model, tmp_path / "model.tlc")
    doc = pipeline(tmp_path / "model.tlc")("good film")
    assert doc.cats["pos"] == pytest.approx(model.predict_proba(["good film"])[0, 1])
    hard = make_pipeline(TfidfVectorizer(), LinearSVC()).fit(TEXTS, LABELS)
    tlclassic.save(hard, tmp_path / "hard.tlc")
    nlp = pipeline(tmp_path / "hard.tlc")
    assert nlp("good film").cats == {"neg": 0.0, "pos": 1.0}
    with pytest.raises(InvalidParameterError):
        nlp.get_pipe("tlclassic_textcat").explain(nlp("good film"), "nothing of the kind")


def test_the_folder_of_a_fine_tuned_encoder(tmp_path):
    pytest.importorskip("onnxruntime")
    from tiny_encoder import make_tiny_encoder

    folder = make_tiny_encoder(tmp_path / "encoder", output="logits")
    nlp = pipeline(folder)
    cats = nlp("good film").cats
    assert set(cats) == {"negative", "positive"}
    raw = nlp.to_bytes()
    nlp.to_disk(tmp_path / "pipeline")
    folder.rename(tmp_path / "moved")
    again = spacy.load(tmp_path / "pipeline")
    assert again("good film").cats == pytest.approx(cats, abs=1e-6)
    assert again.to_bytes() == raw
    other = pipeline(None).from_bytes(raw)
    assert other("good film").cats == pytest.approx(cats, abs=1e-6)
    assert other.get_pipe("tlclassic_textcat").to_bytes() == again.get_pipe("tlclassic_textcat").to_bytes()


def test_an_encoder_with_several_tasks(tmp_path):
    pytest.importorskip("onnxruntime")
    from tiny_encoder import make_tiny_encoder

    from tlclassic.heads.encoder_heads import HeadTask, write_heads

    folder = make_tiny_encoder(tmp_path / "encoder")
    weights = np.random.default_rng(0).standard_normal((3, 16))
    tasks = [
        HeadTask("mood", ["sad", "glad"], [(weights[:2], [0.0, 0.0])]),
        HeadTask("stars", [1, 3, 5], [(weights, [0, 0, 0.1])]),
        HeadTask("topics", ["x", "y"], [(weights[1:], [3.0, -3.0])], multilabel=True),
    ]
    write_heads(folder, tasks, {})
    doc = pipeline(folder)("a good film")
    found = doc._.tlclassic["tlclassic_textcat"]
    expected = {name: values[0] for name, values in tlclassic.load(folder).predict_tasks(["a good film"]).items()}
    assert list(found["tasks"]) == ["mood", "stars", "topics"]
    assert found["label"] == found["tasks"]["mood"]["label"] == expected["mood"]
    assert doc.cats == found["tasks"]["mood"]["scores"]
    assert found["tasks"]["stars"]["label"] == expected["stars"]
    assert found["tasks"]["topics"]["labels"] == ["x"]
    assert list(pipeline(folder).pipe([])) == []


def test_corners(path):
    nlp = pipeline(path)
    docs = list(nlp.pipe(CORNERS))
    assert [set(doc.cats) for doc in docs] == [{"neg", "pos"}] * len(CORNERS)
    assert all(sum(doc.cats.values()) == pytest.approx(1) for doc in docs)
    long = Doc(nlp.vocab, words=["good", "bad"] * 50_000)
    assert len(nlp.get_pipe("tlclassic_textcat")(long)) == 100_000
    assert sum(long.cats.values()) == pytest.approx(1)
    assert list(nlp.pipe([])) == []
    assert nlp.get_pipe("tlclassic_textcat").vocab is nlp.vocab


def test_sentences_and_spans_have_results_of_their_own(path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("tlclassic_textcat", config={"model": str(path), "units": ["sents", "reviewed"]})
    doc = nlp.make_doc("A good film. A bad film.")
    doc.spans["reviewed"] = [doc[1:3]]
    doc = nlp(doc)
    labels = [sentence._.tlclassic["tlclassic_textcat"]["label"] for sentence in doc.sents]
    assert labels == ["pos", "neg"]
    assert doc[1:3]._.tlclassic["tlclassic_textcat"]["label"] == "pos"
    assert doc.cats == {}


def test_what_other_components_found_stays(path):
    nlp = spacy.blank("en")
    nlp.add_pipe("tlclassic_textcat", name="one", config={"model": str(path)})
    nlp.add_pipe("tlclassic_textcat", name="two", config={"model": str(path)})
    doc = nlp.make_doc("good film")
    doc.cats = {"other": 1.0}
    doc = nlp(doc)
    assert set(doc.cats) == {"other", "neg", "pos"}
    assert set(doc._.tlclassic) == {"one", "two"}


# -- saving ----------------------------------------------------------------------------------------------------------


def test_a_saved_pipeline_brings_its_model(tmp_path):
    original = save_compiled(tmp_path)
    nlp = pipeline(original)
    cats = nlp("good film").cats
    nlp.to_disk(tmp_path / "pipeline")
    raw = nlp.to_bytes()
    alone = nlp.get_pipe("tlclassic_textcat").to_bytes()
    original.unlink()
    again = spacy.load(tmp_path / "pipeline")
    assert again("good film").cats == cats
    assert again.to_bytes() == raw
    again.to_disk(tmp_path / "pipeline")
    assert spacy.load(tmp_path / "pipeline")("good film").cats == cats
    other = pipeline(None).from_bytes(raw)
    assert other("good film").cats == cats
    component = other.get_pipe("tlclassic_textcat")
    assert component.to_bytes() == alone
    component.to_disk(tmp_path / "component")
    fresh = pipeline(None).get_pipe("tlclassic_textcat").from_disk(tmp_path / "component")
    assert fresh.to_bytes() == component.to_bytes()
    assert b"pickle" not in raw


def test_a_pipeline_may_refer_to_its_model(tmp_path):
    original = save_compiled(tmp_path)
    nlp = pipeline(original, store="refer")
    cats = nlp("good film").cats
    nlp.to_disk(tmp_path / "pipeline")
    assert not list((tmp_path / "pipeline").rglob("*.tlc"))
    assert spacy.load(tmp_path / "pipeline")("good film").cats == cats
    save_compiled(tmp_path, ["x", "x", "x", "y", "y", "y"])
    with pytest.raises(ArtifactError, match="this is not the model that the pipeline was saved with"):
        spacy.load(tmp_path / "pipeline")("good film")


def test_what_is_refused(tmp_path, path):
    with pytest.raises(InputError, match=r"missing.tlc: there is no such model\. Give the path"):
        pipeline(tmp_path / "missing.tlc")("text")
    with pytest.raises(InvalidParameterError, match="model of the component 'tlclassic_textcat' must be given"):
        pipeline(None)("text")
    with pytest.raises(InvalidParameterError, match="store must be one of 'embed', 'refer'; got 'no'"):
        pipeline(path, store="no")
    with pytest.raises(InvalidParameterError, match="threads must be at least 1"):
        pipeline(path, threads=0)
    with pytest.raises(ArtifactError, match="holds no tlclassic component"):
        pipeline(path).get_pipe("tlclassic_textcat").from_disk(tmp_path)


def test_the_error_handler_is_told_of_the_document_that_failed(path):
    nlp = pipeline(path)
    component = nlp.get_pipe("tlclassic_textcat")
    told = []
    component.set_error_handler(lambda name, proc, docs, error: told.append((name, [d.text for d in docs], str(error))))

    real, calls = component.predict, []

    def predict(docs):
        calls.append(len(docs))
        if any(doc.text == "bad" for doc in docs):
            raise ValueError("broken")
        return real(docs)

    component.predict = predict
    docs = [nlp.make_doc(text) for text in ("good", "bad", "fine")]
    assert [doc.text for doc in component.pipe(docs)] == ["good", "fine"]
    assert calls == [3, 1, 1, 1]
    assert told == [("tlclassic_textcat", ["bad"], "broken")]


# -- explanations ----------------------------------------------------------------------------------------------------


def test_tokens_add_up_to_the_logit(path):
    nlp = pipeline(path)
    doc = nlp("A good film, isn't it? 👍")
    found = nlp.get_pipe("tlclassic_textcat").explain(doc, "pos")
    assert found.weights.shape == (len(doc),)
    assert found.bias + found.weights.sum() == pytest.approx(found.logit)
    assert found.probability == pytest.approx(doc.cats["pos"])
    assert found.top(doc, 1)[0][0] == "good"
    span = nlp.get_pipe("tlclassic_textcat").explain(doc[1:3])
    assert span.label == "pos"
    assert span.bias + span.weights.sum() == pytest.approx(span.logit)


# -- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_model_is_trained_by_updates(tmp_path, multilabel):
    nlp = pipeline(None, multilabel=multilabel, options={"bits": 12})
    kept = examples(nlp, CATS)
    nlp.initialize(lambda: kept)
    component = nlp.get_pipe("tlclassic_textcat")
    assert component.labels == ("neg", "pos")
    assert nlp("good film").cats == {"neg": 0.5, "pos": 0.5}
    losses = [nlp.update(kept, losses={})["tlclassic_textcat"] for _ in range(20)]
    assert losses[-1] < losses[0] == 0.25
    assert component.is_trainable
    cats = nlp("good film").cats
    assert cats["pos"] > 0.6
    assert nlp.evaluate(kept)["cats_macro_f"] == 1.0
    raw = nlp.to_bytes()
    nlp.to_disk(tmp_path / "trained")
    again = spacy.load(tmp_path / "trained")
    assert again("good film").cats == pytest.approx(cats)
    assert again.to_bytes() == raw
    found = component.explain(nlp("good film"), "pos")
    assert found.bias + found.weights.sum() == pytest.approx(found.logit)


def test_a_loaded_model_learns_on_and_a_compiled_one_stays(tmp_path, path):
    tlclassic.save(NgramClassifier(bits=12).fit(TEXTS, LABELS), tmp_path / "model.tlc")
    for place, learns in ((tmp_path / "model.tlc", True), (path, False)):
        nlp = pipeline(place)
        before = nlp("superb").cats
        wanted = [Example.from_dict(nlp.make_doc("superb"), {"cats": {"pos": 1.0}})]
        for _ in range(5):
            nlp.update(wanted)
        assert (nlp("superb").cats != before) is learns


def test_documents_without_categories_teach_and_score_nothing(path):
    nlp = pipeline(None, options={"bits": 12})
    kept = examples(nlp, CATS)
    nlp.initialize(lambda: kept)
    blank = [Example.from_dict(nlp.make_doc("bad bad"), {})]
    nlp.update([*kept, *blank])
    assert "cats_score" not in nlp.evaluate(blank)
    with pytest.raises(InvalidParameterError, match="at least two categories"):
        pipeline(None).initialize(lambda: blank)
