"""``tlclassic_tagger`` with the states of an encoder: the same tags as without spaCy, saved, sent, refused."""

from __future__ import annotations

import pickle
import shutil

import pytest
from spacy_cases import CORNERS, SENTENCES, TAGS, WORDS, save_tagger

from tlclassic import TokenTagger
from tlclassic.errors import ArtifactError, EncoderFormatError, InvalidParameterError
from tlclassic.tagging import CompiledTagger, EncoderStates

spacy = pytest.importorskip("spacy")
pytest.importorskip("onnxruntime")
from spacy.tokens import Doc  # noqa: E402
from tiny_encoder import make_tiny_encoder  # noqa: E402

from tlclassic.spacy_ext import register  # noqa: E402

register()
TEXTS = [" ".join(words) for words in SENTENCES]
INTENTS = ["live", "like", "like"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A folder of two graphs, of 16 and 24 numbers a token."""
    folder = tmp_path_factory.mktemp("encoders")
    words = sorted({word.lower() for words in SENTENCES for word in words})
    wide = make_tiny_encoder(folder / "wide", dim=24, words=words)
    found = make_tiny_encoder(folder / "encoder", words=words)
    shutil.copy(wide / "onnx" / "model.onnx", found / "onnx" / "wide.onnx")
    return found


@pytest.fixture(scope="module")
def tagger(tmp_path_factory, encoder):
    """Without words among its features, so that the tags come from the states."""
    path = tmp_path_factory.mktemp("tagger") / "tagger.tlc"
    model = TokenTagger(
        vectors=None, window=0, affixes=False, pairs=False, states=EncoderStates(encoder), epochs=30, dropout=0.0
    )
    columns = {"ner": TAGS, "upos": WORDS, "intent": INTENTS}
    model.fit(SENTENCES, columns).compile(dtype="float32").save(path)
    return path


def pipeline(path, encoder, **config):
    nlp = spacy.blank("en")
    config |= {"model": str(path), "encoder": None if encoder is None else str(encoder), "threads": 1}
    nlp.add_pipe("tlclassic_tagger", config=config)
    return nlp


def annotations(docs):
    return [([(s.text, s.label_) for s in doc.ents], [token.pos_ for token in doc], doc.cats) for doc in docs]


def test_tags_are_those_of_the_tagger(tagger, encoder):
    nlp = pipeline(tagger, encoder)
    expected = CompiledTagger.load(tagger, states=EncoderStates(encoder)).predict(SENTENCES)
    docs = list(nlp.pipe(TEXTS))
    assert [[token.pos_ for token in doc] for doc in docs] == expected["upos"] == WORDS
    assert [(span.text, span.label_) for span in docs[0].ents] == [("Anna", "PER"), ("Berlin", "LOC")]
    assert docs[1].cats == {"like": 1.0, "live": 0.0}
    calls = []
    opened = nlp.get_pipe("tlclassic_tagger").opened
    real, opened.states = opened.states, lambda sentences: calls.append(sentences) or real(sentences)
    nlp("Anna  lives")
    assert calls == [[["Anna", "lives"]]]


def test_saved_with_its_encoder(tagger, encoder, tmp_path):
    here, there = tmp_path / "encoder", tmp_path / "tagger.tlc"
    shutil.copytree(encoder, here)
    shutil.copy(tagger, there)
    nlp = pipeline(there, here, encoder_file="fp32")
    expected = annotations(nlp.pipe(TEXTS))
    raw, alone = nlp.to_bytes(), nlp.get_pipe("tlclassic_tagger").to_bytes()
    nlp.to_disk(tmp_path / "pipeline")
    names = [place.name for place in (tmp_path / "pipeline").rglob("*.onnx")]
    assert names == ["model.onnx"]
    shutil.rmtree(here)
    there.unlink()
    again = spacy.load(tmp_path / "pipeline")
    assert annotations(again.pipe(TEXTS)) == expected
    assert again.to_bytes() == raw
    again.to_disk(tmp_path / "pipeline")
    again.to_disk(tmp_path / "copy")
    for place in (tmp_path / "pipeline", tmp_path / "copy"):
        assert spacy.load(place).to_bytes() == raw
    fresh = pipeline("nowhere", "nowhere").from_bytes(raw)
    assert fresh.get_pipe("tlclassic_tagger").to_bytes() == alone
    assert annotations(fresh.pipe(TEXTS)) == expected
    assert annotations(pickle.loads(pickle.dumps(again)).pipe(TEXTS)) == expected
    assert annotations(fresh.pipe(TEXTS, n_process=2, batch_size=1)) == expected
    assert b"pickle" not in raw


def test_referred_to_by_digest(tagger, encoder, tmp_path):
    here = tmp_path / "encoder"
    shutil.copytree(encoder, here)
    nlp = pipeline(tagger, here, store="refer")
    expected = annotations(nlp.pipe(TEXTS))
    raw = nlp.to_bytes()
    assert len(nlp.get_pipe("tlclassic_tagger").to_bytes()) < (here / "onnx" / "model.onnx").stat().st_size
    nlp.to_disk(tmp_path / "pipeline")
    assert list((tmp_path / "pipeline").rglob("*.onnx")) == []
    again = spacy.load(tmp_path / "pipeline")
    assert (again.to_bytes(), annotations(again.pipe(TEXTS))) == (raw, expected)
    (here / "config.json").write_bytes((here / "config.json").read_bytes() + b" ")
    with pytest.raises(ArtifactError, match=r"not the encoder that the pipeline was trained with \(config.json"):
        spacy.load(tmp_path / "pipeline")("Anna lives")
    # Saved over one with an encoder, a component without is one without.
    plain = pipeline(save_tagger(tmp_path, TAGS), None)
    plain.to_disk(tmp_path / "pipeline")
    assert spacy.load(tmp_path / "pipeline").to_bytes() == plain.to_bytes()


def test_what_is_refused(tagger, encoder, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"encoder must be given: .*tagger.tlc was trained with 16 numbers"):
        pipeline(tagger, None)("Anna lives")
    wide = (
        r"encoder must give 16 numbers of each token, as .*tagger.tlc was trained with; it gives 24\. Give the folder"
    )
    with pytest.raises(InvalidParameterError, match=wide):
        pipeline(tagger, encoder, encoder_file="onnx/wide.onnx")("Anna lives")
    with pytest.raises(InvalidParameterError, match=r"encoder must be left out: .* was trained without states"):
        pipeline(save_tagger(tmp_path, TAGS), encoder)("Anna lives")
    with pytest.raises(EncoderFormatError, match="nowhere: there is no such folder"):
        pipeline(tagger, "nowhere")("Anna lives")
    with pytest.raises(EncoderFormatError, match=r"has no graph 'int8'; graphs there: onnx/model.onnx, onnx/wide.onnx"):
        pipeline(tagger, encoder, encoder_file="int8")("Anna lives")
    pooled = make_tiny_encoder(tmp_path / "pooled", output="pooled")
    with pytest.raises(InvalidParameterError, match="encoder must be an encoder whose graph gives states of tokens"):
        pipeline(tagger, pooled)("Anna lives")
    assert pipeline(tagger, "nowhere").get_pipe("tlclassic_tagger").labels == ()
    nlp = pipeline(tagger, encoder)
    nlp.to_disk(tmp_path / "pipeline")
    (tmp_path / "pipeline" / "tlclassic_tagger" / "encoder.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"encoder.json: says of no encoder .* Save the pipeline anew"):
        spacy.load(tmp_path / "pipeline")


def test_corners_and_a_long_document(tagger, encoder):
    nlp = pipeline(tagger, encoder)
    docs = list(nlp.pipe(CORNERS))
    assert [bool(doc.cats) for doc in docs] == [bool(text.strip()) for text in CORNERS]
    long = Doc(nlp.vocab, words=["Anna", "likes"] * 50_000)
    assert all(token.pos_ for token in nlp.get_pipe("tlclassic_tagger")(long))
