"""Every component and both architectures on what breaks things: nothing, white space, emoji, CJK, 100,000 tokens."""

from __future__ import annotations

import numpy as np
import pytest
from spacy_cases import CORNERS, LABELS, SENTENCES, TAGS, TEXTS, WORDS, save_compiled, save_tagger

from tlclassic import WordVectors

spacy = pytest.importorskip("spacy")
pytest.importorskip("onnxruntime")
from spacy.tokens import Doc  # noqa: E402
from spacy.training import Example  # noqa: E402
from tiny_encoder import make_tiny_encoder  # noqa: E402

from tlclassic.spacy_ext import DocFeatures, register  # noqa: E402

register()
NOTHING = ["", "   ", "\n\t "]
SHOWN = ["👍🏽👨‍👩‍👧 good", "👨‍👩‍👧", "日本語の映画は good です", "映画", "don't\n\nbad", "…", "ﬁlm"]
LONG = 100_000
SMALL = {"width": 16, "rows": [50, 50, 50, 50], "depth": 1}
KINDS = ["textcat", "textcat_units", "tagger", "vectors", "masked_textcat", "static", "onnx"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    table = np.random.default_rng(0).standard_normal((4, 8)).astype("f4")
    WordVectors.from_arrays(["good", "film", "bad", "映"], table).save(folder / "vectors.tlc")
    return {
        "textcat": save_compiled(folder),
        "tagger": save_tagger(folder, {"ner": TAGS, "upos": WORDS}),
        "vectors": folder / "vectors.tlc",
        "encoder": make_tiny_encoder(folder / "encoder"),
    }


def _architecture(name, **options):
    return {"model": {"@architectures": f"tlclassic.{name}.v1", **options, **SMALL}}


@pytest.fixture(scope="module")
def pipelines(paths):
    """One of each kind, trained where it is trained, also on documents without tokens."""
    configs = {
        "textcat": ("tlclassic_textcat", {"model": str(paths["textcat"])}),
        "textcat_units": ("tlclassic_textcat", {"model": str(paths["textcat"]), "units": ["doc", "sents", "ents"]}),
        "tagger": ("tlclassic_tagger", {"model": str(paths["tagger"])}),
        "vectors": ("tlclassic_vectors", {"model": str(paths["vectors"])}),
        "masked_textcat": ("tlclassic_masked_textcat", {}),
        "static": ("tok2vec", _architecture("StaticVectors", vectors=str(paths["vectors"]))),
        "onnx": ("tok2vec", _architecture("OnnxTok2Vec", model=str(paths["encoder"]), threads=1)),
    }
    found = {}
    for kind, (factory, config) in configs.items():
        nlp = spacy.blank("en")
        if kind == "textcat_units":
            nlp.add_pipe("sentencizer")
        nlp.add_pipe(factory, name="component", config=config)
        if kind in ("masked_textcat", "static", "onnx"):
            pairs = [*zip(TEXTS, LABELS, strict=True), *((text, "pos") for text in CORNERS)]
            rows = [
                Example.from_dict(nlp.make_doc(text), {"cats": {name: float(name == label) for name in ("pos", "neg")}})
                for text, label in pairs
            ]
            optimizer = nlp.initialize(lambda rows=rows: rows)
            nlp.update(rows, sgd=optimizer)
            nlp.update(rows[-len(CORNERS) :][:3], sgd=optimizer)
        found[kind] = nlp
    return found


def seen(kind, doc):
    """What a component wrote, as numbers and strings."""
    if kind.startswith("textcat"):
        return sorted(doc.cats.items()), len([s for s in doc.sents if s._.tlclassic] if "units" in kind else [])
    if kind == "masked_textcat":
        return sorted((name, round(score, 5)) for name, score in doc.cats.items())
    if kind == "tagger":
        return [token.pos_ for token in doc], [(span.text, span.label_) for span in doc.ents]
    return np.round(doc.vector if kind == "vectors" else doc.tensor, 4).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_each_text_alone_together_and_in_batches_of_nothing(pipelines, kind):
    nlp, texts = pipelines[kind], [*NOTHING, *SHOWN]
    assert set(CORNERS) <= set(texts)
    alone = [nlp(text) for text in texts]
    assert [doc.text for doc in alone] == texts
    expected = [seen(kind, doc) for doc in alone]
    for size in (1, 3, 100):
        assert [seen(kind, doc) for doc in nlp.pipe(texts, batch_size=size)] == expected
    assert [seen(kind, doc) for doc in nlp.pipe(NOTHING * 2)] == expected[:3] * 2
    assert list(nlp.pipe([])) == []


@pytest.mark.parametrize("kind", ["textcat", "textcat_units", "masked_textcat"])
def test_categories_of_every_text(pipelines, kind):
    for doc in pipelines[kind].pipe([*NOTHING, *SHOWN]):
        assert set(doc.cats) == {"neg", "pos"}
        # spaCy's categoriser gives a document without tokens zeros, and ours does so in every batch.
        total = 0.0 if kind == "masked_textcat" and not len(doc) else 1.0
        assert sum(doc.cats.values()) == pytest.approx(total)
    if kind != "masked_textcat":
        # The model was trained on none of these texts, and nothing is all that it knows of them: its bias.
        assert pipelines[kind]("").cats == pipelines[kind]("   ").cats == pipelines[kind]("👨‍👩‍👧").cats


def test_sentences_of_white_space_and_of_others(pipelines):
    docs = list(pipelines["textcat_units"].pipe(["", "   ", "👨‍👩‍👧 good. 映画 bad."]))
    assert [[bool(s._.tlclassic) for s in doc.sents] for doc in docs] == [[], [True], [True, True]]


def test_tags_of_every_text(pipelines):
    docs = list(pipelines["tagger"].pipe([*NOTHING, *SHOWN]))
    assert [[token.pos_ for token in doc] for doc in docs[:3]] == [[], [""], [""]]
    assert all(bool(token.pos_) != token.is_space for doc in docs for token in doc)


def test_vectors_of_every_text(pipelines, paths):
    nlp = pipelines["vectors"]
    docs = dict(zip([*NOTHING, *SHOWN], nlp.pipe([*NOTHING, *SHOWN]), strict=True))
    assert {text for text, doc in docs.items() if not doc.has_vector} == {*NOTHING, "👨‍👩‍👧", "…", "ﬁlm"}
    known = WordVectors.load(paths["vectors"])["映"]
    assert docs["映画"].vector == pytest.approx(known / np.linalg.norm(known) * np.linalg.norm(docs["映画"].vector))
    assert (docs[""].similarity(docs["映画"]), docs["映画"].similarity(docs["映画"])) == (0.0, pytest.approx(1.0))


@pytest.mark.parametrize("kind", ["static", "onnx"])
def test_states_of_every_text(pipelines, kind):
    for doc in pipelines[kind].pipe([*NOTHING, *SHOWN]):
        assert doc.tensor.shape == (len(doc), 16)
        assert np.isfinite(doc.tensor).all()
    shim = next(s for node in pipelines[kind].get_pipe("component").model.walk() for s in node.shims)
    docs = [pipelines[kind].make_doc(text) for text in ("   ", "映", "👨‍👩‍👧")]
    zero = [not row.any() for row in shim.features(docs, False)]
    # White space has no piece; an unknown character is a piece of the encoder, and no word of the vectors.
    assert zero == [True, False, *([kind == "static"] * (len(zero) - 2))]


def test_explanations_of_every_text(pipelines):
    component = pipelines["textcat"].get_pipe("component")
    for text in [*NOTHING, *SHOWN]:
        doc = pipelines["textcat"](text)
        found = component.explain(doc, "pos")
        assert found.weights.shape == (len(doc),)
        assert found.bias + found.weights.sum() == pytest.approx(found.logit, abs=1e-6)


def test_features_of_every_text(pipelines):
    features = DocFeatures(pipelines["vectors"], features=["vector", "length"])
    found = features.fit_transform([*NOTHING, *SHOWN])
    assert found.shape == (len(NOTHING) + len(SHOWN), 9)
    assert np.isfinite(found).all()
    assert found[0].tolist() == [0.0] * 9


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_of_100_000_tokens(pipelines, kind):
    nlp = pipelines[kind]
    words = SENTENCES[1][:2] if kind == "tagger" else ["good", "映画"]
    doc = nlp.get_pipe("component")(
        Doc(nlp.vocab, words=words * (LONG // 2), sent_starts=[True] + [False] * (LONG - 1))
    )
    assert len(doc) == LONG
    if "textcat" in kind:
        assert sum(doc.cats.values()) == pytest.approx(1.0, abs=1e-4)
    elif kind == "tagger":
        assert [token.pos_ for token in doc[:4]] == ["PROPN", "VERB", "PROPN", "VERB"]
        assert len(doc.ents) == LONG // 2
    elif kind == "vectors":
        short = nlp(" ".join(words))
        np.testing.assert_allclose(doc.vector, short.vector, atol=1e-4)
    else:
        assert doc.tensor.shape == (LONG, 16)
        assert np.isfinite(doc.tensor).all()


def test_the_encoder_computes_each_piece_of_a_long_document_about_twice(paths, monkeypatch):
    from tlclassic.encoders.sessions import Graph

    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config=_architecture("OnnxTok2Vec", model=str(paths["encoder"]), threads=1))
    nlp.initialize(lambda: [Example.from_dict(nlp.make_doc("a good film"), {})])
    computed = []
    real = Graph.run
    monkeypatch.setattr(Graph, "run", lambda self, ids, mask: computed.append(ids.size) or real(self, ids, mask))
    nlp.get_pipe("tok2vec")(Doc(nlp.vocab, words=["good", "film"] * 5_000))
    # Windows of 62 pieces and two special ones; the overlap that is asked for, 64, is more than one holds.
    assert 10_000 < sum(computed) < 2.2 * 10_000
