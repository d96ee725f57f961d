"""``tlclassic_tagger`` and ``tlclassic_vectors``, ``DocFeatures``, and the entry points."""

from __future__ import annotations

import importlib
import multiprocessing
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from spacy_cases import CORNERS, SENTENCES, TAGS, TEXTS, WORDS, save_compiled, save_tagger

import tlclassic
from tlclassic import EmbeddingVectorizer, WordVectors
from tlclassic.errors import InvalidParameterError

spacy = pytest.importorskip("spacy")
from spacy.tokens import Doc, DocBin, Span  # noqa: E402
from spacy.training import Example  # noqa: E402

from tlclassic.spacy_ext import DocFeatures, SpacyTokenizer, register  # noqa: E402

register()
CHECKOUT = Path(__file__).resolve().parent.parent
TASKS = {"ner": TAGS, "upos": WORDS, "xpos": WORDS, "intent": ["live", "like", "like"]}


@pytest.fixture(scope="module")
def taggers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taggers")
    return save_tagger(folder, TAGS, "ner.tlc"), save_tagger(folder, TASKS, "several.tlc")


def pipeline(factory, *before, **config):
    nlp = spacy.blank("en")
    for name in before:
        nlp.add_pipe(name)
    nlp.add_pipe(factory, config=config)
    return nlp


# -- tagger ----------------------------------------------------------------------------------------------------------


def test_entities(taggers):
    nlp = pipeline("tlclassic_tagger", model=str(taggers[0]))
    assert nlp.get_pipe("tlclassic_tagger").labels == ("LOC", "PER")
    doc = nlp("Anna  lives\nin Berlin")
    assert [(span.text, span.label_) for span in doc.ents] == [("Anna", "PER"), ("Berlin", "LOC")]


def test_each_task_goes_to_its_place(taggers):
    nlp = pipeline("tlclassic_tagger", model=str(taggers[1]), targets={"ner": "spans:found"})
    doc = nlp("Anna lives in Berlin")
    assert [(span.text, span.label_) for span in doc.spans["found"]] == [("Anna", "PER"), ("Berlin", "LOC")]
    assert doc.ents == ()
    assert [token.pos_ for token in doc] == WORDS[0]
    assert [token.tag_ for token in doc] == WORDS[0]
    assert doc.cats == {"like": 0.0, "live": 1.0}
    given = {"words": SENTENCES[0], "tags": WORDS[0], "pos": WORDS[0], "cats": {"live": 1.0, "like": 0.0}}
    example = Example.from_dict(nlp.make_doc("Anna lives in Berlin"), given)
    example.reference.spans["found"] = [Span(example.reference, 0, 1, label="PER")]
    scores = nlp.evaluate([example])
    assert (scores["tag_acc"], scores["pos_acc"], scores["spans_found_p"]) == (1.0, 1.0, 0.5)


def test_sentences_are_tagged_by_themselves(taggers):
    nlp = pipeline("tlclassic_tagger", "sentencizer", model=str(taggers[0]))
    doc = nlp("Berlin likes Anna. Anna lives in Berlin.")
    assert [span.label_ for span in doc.ents] == ["LOC", "PER", "PER", "LOC"]
    one = Example.from_dict(nlp.make_doc("Anna lives in Berlin"), {"entities": [(0, 4, "PER")]})
    assert nlp.evaluate([one])["ents_r"] == 1.0


@pytest.mark.parametrize(("overwrite", "expected"), [(True, ["PER", "LOC"]), (False, ["X", "LOC"])])
def test_entities_that_are_there(taggers, overwrite, expected):
    nlp = pipeline("tlclassic_tagger", model=str(taggers[0]), overwrite=overwrite)
    doc = nlp.make_doc("Anna lives in Berlin")
    doc.ents = [Span(doc, 0, 2, label="X")]
    assert [span.label_ for span in nlp(doc).ents] == expected


def test_tagger_corners_and_saving(taggers, tmp_path):
    nlp = pipeline("tlclassic_tagger", model=str(taggers[1]))
    assert len(list(nlp.pipe(CORNERS))) == len(CORNERS)
    long = Doc(nlp.vocab, words=["Anna", "likes"] * 50_000)
    assert len(nlp.get_pipe("tlclassic_tagger")(long).ents) == 50_000
    raw = nlp.to_bytes()
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert again.to_bytes() == raw
    assert again("Anna lives").to_json() == nlp("Anna lives").to_json()
    with pytest.raises(InvalidParameterError, match=r"targets must name tasks of the tagger .*; got \['nothing'\]"):
        pipeline("tlclassic_tagger", model=str(taggers[0]), targets={"nothing": "tag"})("a")
    with pytest.raises(InvalidParameterError, match=r"targets\['ner'\] must be one of 'ents'.*got 'spans:'"):
        pipeline("tlclassic_tagger", model=str(taggers[0]), targets={"ner": "spans:"})


# -- vectors ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    words = ["the", "good", "bad", "film", "plot"]
    table = np.random.default_rng(0).standard_normal((5, 4)).astype("f4")
    WordVectors.from_arrays(words, table).save(tmp_path / "vectors.tlc")
    return tmp_path / "vectors.tlc"


def test_vectors_of_documents_spans_and_tokens(store):
    nlp = pipeline("tlclassic_vectors", model=str(store), pooling="mean")
    words = WordVectors.load(store)
    doc, other = nlp.pipe(["the good film", "bad plot"])
    np.testing.assert_allclose(doc.vector, words.lookup(["the", "good", "film"]).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(doc[1:3].vector, words.lookup(["good", "film"]).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(doc[1].vector, words["good"], atol=1e-6)
    a, b = doc.vector, other.vector
    cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert doc.similarity(other) == pytest.approx(cosine, abs=1e-6)
    assert doc[0:2].similarity(doc[0:2]) == pytest.approx(1)
    assert doc.vector_norm == pytest.approx(float(np.linalg.norm(a)), abs=1e-6)
    empty = nlp("")
    assert (empty.vector.tolist(), empty.has_vector, empty.similarity(doc)) == ([0.0] * 4, False, 0.0)
    assert len(list(nlp.pipe(CORNERS))) == len(CORNERS)


def test_initialising_learns_what_texts_have_in_common(store, tmp_path):
    nlp = pipeline("tlclassic_vectors", model=str(store))
    before = nlp("good film").vector
    expected = EmbeddingVectorizer(WordVectors.load(store), pooling="sif").fit(TEXTS).transform(["good film"])[0]
    nlp.initialize(lambda: [Example.from_dict(nlp.make_doc(text), {}) for text in TEXTS])
    np.testing.assert_allclose(nlp("good film").vector, expected, atol=1e-6)
    assert not np.allclose(before, expected)
    raw = nlp.to_bytes()
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert again.to_bytes() == raw
    np.testing.assert_array_equal(again("good film").vector, nlp("good film").vector)


def test_a_document_keeps_its_vector_where_hooks_do_not_go(store):
    nlp = pipeline("tlclassic_vectors", model=str(store))
    doc = nlp("good film")
    raw = DocBin(docs=[doc], store_user_data=True)
    (again,) = raw.get_docs(nlp.vocab)
    np.testing.assert_array_equal(again._.tlclassic_vector, doc.vector)


def test_the_packaged_vectors_are_the_default():
    nlp = spacy.blank("en")
    nlp.add_pipe("tlclassic_vectors", config={"store": "refer"})
    film, movie, tax = nlp.pipe(["an excellent film", "a great movie", "the tax office"])
    assert film.similarity(movie) > film.similarity(tax)


# -- scikit-learn ----------------------------------------------------------------------------------------------------


def test_features_of_documents(tmp_path, store, taggers):
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    nlp = pipeline("tlclassic_tagger", model=str(taggers[1]))
    nlp.add_pipe("tlclassic_vectors", config={"model": str(store), "pooling": "mean"})
    features = DocFeatures(nlp, features=["pos", "ents", "length", "cats", "vector"])
    texts = ["Anna lives in Berlin", "he likes Berlin", ""]
    found = clone(features).fit_transform(texts)
    features.fit(texts)
    names = features.get_feature_names_out().tolist()
    assert names[:8] == [
        "pos_ADP", "pos_PRON", "pos_PROPN", "pos_VERB", "ents_LOC", "ents_PER", "length_log", "cats_like",
    ]  # fmt: skip
    assert found.shape == (3, len(names)) == (3, 13)
    assert found[0, :6].tolist() == [0.25, 0.0, 0.5, 0.25, 1.0, 1.0]
    assert found[0, 6] == pytest.approx(np.log(5))
    assert found[2].any() == np.False_
    model = make_pipeline(features, LogisticRegression()).fit(texts, ["a", "b", "b"])
    assert model.predict(texts).shape == (3,)
    with pytest.raises(InvalidParameterError, match=r"features must be one of 'vector'.*got 'no'"):
        DocFeatures(nlp, features="no").fit(texts)
    with pytest.raises(InvalidParameterError, match=r"features='tensor' needs a pipeline that sets doc\.tensor"):
        DocFeatures(nlp, features="tensor").fit(texts)
    with pytest.raises(InvalidParameterError, match="nlp must be a spaCy pipeline; got str"):
        DocFeatures("en").fit(texts)


def test_the_tokenizer_is_the_one_of_text():
    assert SpacyTokenizer is tlclassic.text.SpacyTokenizer
    assert SpacyTokenizer("en").tokenize("don't") == ["do", "n't"]


# -- the door --------------------------------------------------------------------------------------------------------


def test_entry_points_name_what_is_there():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    registries = {"spacy_factories": "factories", "spacy_architectures": "architectures", "spacy_scorers": "scorers"}
    found = 0
    for group, names in project["entry-points"].items():
        for name, place in names.items():
            module, _, function = place.partition(":")
            made = getattr(importlib.import_module(module), function)
            assert getattr(spacy.registry, registries[group]).get(name) is made or group == "spacy_factories"
            assert name in getattr(spacy.registry, registries[group]) or spacy.Language.has_factory(name)
            found += 1
    assert found >= 3


def test_nothing_of_spacy_is_imported_or_said_without_need():
    code = (
        "import sys, warnings; warnings.simplefilter('error'); sys.modules['spacy'] = None\n"
        "import tlclassic, tlclassic.spacy_ext as door\n"
        "assert 'DocFeatures' in dir(door) and not [n for n in sys.modules if n.startswith(('thinc', 'spacy.'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_components_in_other_processes(taggers, store, tmp_path, method):
    nlp = pipeline("tlclassic_tagger", model=str(taggers[0]))
    nlp.add_pipe("tlclassic_textcat", config={"model": str(save_compiled(tmp_path))})
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        docs = list(nlp.pipe(["Anna lives in Berlin", "likes", ""], n_process=2, batch_size=1))
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert [[span.label_ for span in doc.ents] for doc in docs] == [["PER", "LOC"], [], []]
    assert [doc.cats for doc in docs] == [doc.cats for doc in nlp.pipe(["Anna lives in Berlin", "likes", ""])]
    assert set(docs[0]._.tlclassic["tlclassic_textcat"]["scores"]) == {"neg", "pos"}
