"""Backbones inside spaCy: alignment, windows, static vectors, ONNX encoders, layers, missing categories."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from spacy_cases import CORNERS

from tlclassic import WordVectors
from tlclassic.encoders.windows import piece_states, windows
from tlclassic.errors import ArtifactError, EncoderFormatError, InvalidParameterError

spacy = pytest.importorskip("spacy")
pytest.importorskip("onnxruntime")
import onnx  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402
from spacy.tokens import Doc  # noqa: E402
from spacy.training import Example  # noqa: E402
from tiny_encoder import make_tiny_encoder  # noqa: E402

from tlclassic import OnnxEncoder  # noqa: E402
from tlclassic.spacy_ext import register  # noqa: E402
from tlclassic.spacy_ext.aligning import align, token_spans  # noqa: E402
from tlclassic.spacy_ext.frozen import TokenCache, doc_key  # noqa: E402
from tlclassic.spacy_ext.onnx import EncoderShim, layer_mix  # noqa: E402
from tlclassic.spacy_ext.static import VectorsShim  # noqa: E402

register()
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16, "upstream": "tok2vec"}
SMALL = {"width": 16, "rows": [50, 50, 50, 50], "depth": 1}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"), layers=2)


def shim_of(nlp):
    return next(s for node in nlp.get_pipe("tok2vec").model.walk() for s in node.shims)


def pipeline(model):
    """A tagger, an entity recogniser and a categoriser that listen to one backbone."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": model})
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": LISTENER}})
    parser = {"@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False}
    nlp.add_pipe(
        "ner",
        config={"model": {**parser, "hidden_width": 16, "maxout_pieces": 2, "use_upper": False, "tok2vec": LISTENER}},
    )
    reduce = {f"use_reduce_{name}": name == "mean" for name in ("first", "last", "max", "mean")}
    textcat = {"@architectures": "spacy.TextCatReduce.v1", "exclusive_classes": True, **reduce, "tok2vec": LISTENER}
    nlp.add_pipe("tlclassic_masked_textcat", name="textcat", config={"model": textcat})
    return nlp


def corpora(nlp):
    """Three corpora, each with one annotation."""
    return [
        Example.from_dict(nlp.make_doc("my card was lost"), {"tags": ["D", "N", "V", "V"]}),
        Example.from_dict(nlp.make_doc("the parcel never came"), {"entities": [(4, 10, "THING")]}),
        Example.from_dict(nlp.make_doc("a good film"), {"cats": {"pos": 1.0, "neg": 0.0}}),
        Example.from_dict(nlp.make_doc("a bad film"), {"cats": {"pos": 0.0, "neg": 1.0}}),
        Example.from_dict(nlp.make_doc(""), {}),
    ]


def trained(model, steps=60):
    nlp = pipeline(model)
    rows = corpora(nlp)
    optimizer = nlp.initialize(lambda: rows)
    for _ in range(steps):
        nlp.update(rows, sgd=optimizer)
    return nlp


def annotations(nlp, texts):
    return [
        ([token.tag_ for token in doc], [(span.text, span.label_) for span in doc.ents], doc.cats)
        for doc in nlp.pipe(texts)
    ]


# -- alignment and windows -------------------------------------------------------------------------------------------


def test_windows_cover_every_piece_once():
    for n, size, overlap in [(0, 4, 2), (3, 4, 2), (4, 4, 2), (5, 4, 2), (97, 10, 4), (20, 3, 5), (11, 1, 0)]:
        found = windows(n, size, overlap)
        taken = [place for _, _, start, end in found for place in range(start, end)]
        assert taken == list(range(n))
        assert all(end - start <= size and start <= first and last <= end for start, end, first, last in found)
    assert windows(10, 6, 3) == [(0, 6, 0, 5), (3, 9, 5, 7), (4, 10, 7, 10)]


def test_no_overlap_makes_windows_of_a_step_each():
    assert windows(10, 6, 64) == windows(10, 6, 3)
    for size in (1, 2, 3, 62):
        computed = sum(end - start for start, end, _, _ in windows(1000, size, 1000))
        assert computed <= 2 * 1000 + size


def test_pieces_go_to_the_tokens_that_they_stand_on():
    pieces = np.arange(1, 6, dtype="f4")[:, None]
    offsets = np.array([[0, 2], [2, 5], [4, 9], [9, 9], [20, 21]])
    tokens = np.array([[0, 3], [3, 5], [5, 6], [6, 9], [10, 12]])
    assert align(pieces, offsets, tokens)[:, 0].tolist() == [1.5, 2.5, 3.0, 3.0, 0.0]
    assert align(np.zeros((0, 1), "f4"), np.zeros((0, 2), int), tokens).tolist() == [[0.0]] * 5
    assert align(pieces, offsets, np.zeros((0, 2), int)).shape == (0, 1)


def test_every_token_gets_the_mean_of_its_own_pieces(encoder):
    nlp = spacy.blank("en")
    reader = OnnxEncoder(encoder)
    for text in [*CORNERS, "Where's the PARCEL-number?", "naïve café", "a\u00a0b"]:
        doc = nlp.make_doc(text)
        ((states, offsets),) = piece_states(reader, [text], overlap=8)
        found = align(states, offsets, token_spans(doc))
        for token, row in zip(doc, found, strict=True):
            own = [
                state
                for state, (start, end) in zip(states, offsets.tolist(), strict=True)
                if start < token.idx + len(token) and end > token.idx
            ]
            expected = np.mean(own, axis=0) if own else np.zeros_like(row)
            np.testing.assert_allclose(row, expected, atol=1e-5)


def test_a_short_text_has_the_states_that_the_encoder_gives(encoder):
    reader = OnnxEncoder(encoder)
    texts = ["where is my parcel", "bad film", ""]
    for (states, offsets), (own, places) in zip(
        piece_states(reader, texts, overlap=8), reader.token_states(texts), strict=True
    ):
        np.testing.assert_allclose(states, own.reshape(states.shape), atol=1e-5)
        assert offsets.tolist() == places.tolist()


def test_a_long_text_goes_through_in_windows(encoder):
    reader = OnnxEncoder(encoder, max_length=16)
    text = "my card was lost and the parcel never came " * 20
    ((states, offsets),) = piece_states(reader, [text], overlap=6)
    assert len(states) == len(offsets) == 180
    ((first, _),) = piece_states(reader, [" ".join(text.split()[:14])], overlap=6)
    np.testing.assert_allclose(states[:11], first[:11], atol=1e-5)


# -- static vectors --------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    words = ["the", "parcel", "film", "good", "bad"]
    WordVectors.from_arrays(words, np.random.default_rng(0).standard_normal((5, 8)).astype("f4")).save(
        tmp_path / "v.tlc"
    )
    return tmp_path / "v.tlc"


def test_static_features_are_scaled_vectors(store):
    nlp = spacy.blank("en")
    shim = VectorsShim(store)
    vectors = WordVectors.load(store)
    docs = list(nlp.tokenizer.pipe(["the GOOD film", "parcel-film", "\u2026 nothing"]))
    found = shim.features(docs, False)
    scale = np.sqrt(8) / vectors.norms.mean()
    np.testing.assert_allclose(found[:3], scale * vectors.lookup(["the", "good", "film"]), rtol=1e-5)
    assert [token.text for doc in docs for token in doc][3:6] == ["parcel", "-", "film"]
    np.testing.assert_allclose(found[3], scale * vectors["parcel"], rtol=1e-5)
    assert not found[6:].any()
    np.testing.assert_array_equal(shim.features(docs[::-1], True)[-3:], found[:3])
    assert shim.features([nlp.make_doc(f"w{i} good") for i in range(30)], False).shape == (60, 8)


def test_words_are_forgotten_when_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr("tlclassic.spacy_ext.static._KEPT_WORDS", 4)
    nlp, shim = spacy.blank("en"), VectorsShim(store)
    expected = VectorsShim(store)
    for text in ("the film", "good bad", "parcel good the", "the film good bad parcel more"):
        docs = [nlp.make_doc(text)]
        words = [token.text for token in docs[0]]
        np.testing.assert_array_equal(shim.features(docs, False), expected._look_up(words))


# -- both backbones --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["static", "onnx"])
def backbone(request, store, encoder):
    if request.param == "static":
        return {"@architectures": "tlclassic.StaticVectors.v1", "vectors": str(store), **SMALL}
    return {"@architectures": "tlclassic.OnnxTok2Vec.v1", "model": str(encoder), "threads": 1, **SMALL}


def test_three_tasks_are_learned_on_one_backbone_from_three_corpora(backbone, tmp_path):
    nlp = trained(backbone)
    texts = ["my card was lost", "the parcel never came", "a good film", *CORNERS]
    found = annotations(nlp, texts)
    assert found[0][0] == ["D", "N", "V", "V"]
    assert found[1][1] == [("parcel", "THING")]
    assert found[2][2]["pos"] > 0.6
    assert nlp("a bad film").cats["neg"] > 0.6
    raw = nlp.to_bytes()
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert again.to_bytes() == raw
    assert annotations(again, texts) == found
    assert annotations(pickle.loads(pickle.dumps(again)), texts) == found
    two = [[token.tag_ for token in doc] for doc in again.pipe(texts[:3], n_process=2, batch_size=1)]
    assert two == [tags for tags, _, _ in found[:3]]
    again.replace_listeners("tok2vec", "ner", ["model.tok2vec"])
    assert annotations(again, texts)[1][1] == [("parcel", "THING")]


def test_a_pipeline_refers_to_its_features_by_digest(backbone, tmp_path, store, encoder):
    nlp = trained({**backbone, "store": "refer"}, steps=2)
    raw = nlp.to_bytes()
    assert len(raw) < len(trained(backbone, steps=2).to_bytes()) or "Static" in backbone["@architectures"]
    nlp.to_disk(tmp_path / "pipeline")
    assert spacy.load(tmp_path / "pipeline").to_bytes() == raw
    if "Static" in backbone["@architectures"]:
        WordVectors.from_arrays(["other"], np.ones((1, 8), "f4")).save(store)
        with pytest.raises(InvalidParameterError, match="vectors must be those that the pipeline was trained with"):
            spacy.load(tmp_path / "pipeline")("good film")
        return
    config = encoder / "config.json"
    before = config.read_bytes()
    config.write_bytes(before + b" ")
    try:
        with pytest.raises(ArtifactError, match=r"not the encoder that the pipeline was trained with \(config.json"):
            spacy.load(tmp_path / "pipeline")("good film")
    finally:
        config.write_bytes(before)


# -- the encoder -----------------------------------------------------------------------------------------------------


def test_states_are_kept_in_training_alone(encoder):
    nlp = spacy.blank("en")
    shim = EncoderShim(encoder, cache_tokens=100, threads=1)
    docs = [nlp.make_doc(text) for text in ("my card was lost", "a good film", "")]
    first = shim.features(docs, False)
    assert len(shim.cache) == 0
    np.testing.assert_array_equal(shim.features(docs, True), first)
    assert len(shim.cache) == 3
    calls = []
    shim._compute = lambda missing: calls.append(len(missing)) or []
    np.testing.assert_array_equal(shim.features(docs, False), first)
    assert calls == [0]


def test_the_cache_lets_go_of_what_was_used_longest_ago():
    cache = TokenCache(10)
    for name, n in ((b"a", 4), (b"b", 4)):
        cache.put(name, np.zeros((n, 2), np.float16))
    assert cache.get(b"a") is not None
    cache.put(b"c", np.zeros((4, 2), np.float16))
    cache.put(b"d", np.zeros((11, 2), np.float16))
    assert (cache.get(b"b"), cache.get(b"d"), cache.n_tokens, len(cache)) == (None, None, 8, 2)


def test_a_key_tells_texts_and_tokens_apart():
    vocab = spacy.blank("en").vocab
    docs = [
        Doc(vocab, words=["ab", "c"], spaces=[True, False]),
        Doc(vocab, words=["a", "bc"], spaces=[False, False]),
        Doc(vocab, words=["abc"], spaces=[False]),
        Doc(vocab, words=["ab", "c"], spaces=[False, False]),
    ]
    assert len({doc_key(doc) for doc in docs}) == 4
    assert doc_key(docs[0]) == doc_key(Doc(vocab, words=["ab", "c"], spaces=[True, False]))


@pytest.fixture(scope="module")
def layered(tmp_path_factory):
    """An encoder whose graph also gives the states of a layer below."""
    folder = make_tiny_encoder(tmp_path_factory.mktemp("layered"), layers=2)
    model = onnx.load(folder / "onnx" / "model.onnx")
    below = [node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"][1]
    model.graph.output.append(helper.make_tensor_value_info(below, TensorProto.FLOAT, ["batch", "tokens", 16]))
    onnx.save(model, folder / "onnx" / "model.onnx")
    return folder, ["last_hidden_state", below]


def test_a_mix_of_layers_is_trained(layered):
    folder, layers = layered
    model = {
        "@architectures": "tlclassic.OnnxTok2Vec.v1",
        "model": str(folder),
        "layers": layers,
        "threads": 1,
        **SMALL,
    }
    nlp = trained(model)
    assert annotations(nlp, ["the parcel never came"])[0][1] == [("parcel", "THING")]
    mix = next(node for node in nlp.get_pipe("tok2vec").model.walk() if node.name == "tlclassic_layer_mix")
    assert mix.get_param("W").tolist() != [0.0, 0.0, 1.0]
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": {**model, "layers": ["nothing"]}})
    with pytest.raises(EncoderFormatError, match="has no states called nothing; it has last_hidden_state, "):
        nlp.initialize(lambda: corpora(nlp))


def test_the_gradient_of_a_mix():
    rng = np.random.default_rng(3)
    X, dY = rng.standard_normal((4, 6)).astype("f4"), rng.standard_normal((4, 3)).astype("f4")
    mix = layer_mix(2)
    mix.initialize(X=X)
    weights = np.array([0.3, -0.2, 1.5], "f4")
    mix.set_param("W", weights)
    _, backprop = mix(X, is_train=True)
    backprop(dY)
    for place in range(3):
        step = np.zeros(3, "f4")
        step[place] = 1e-2
        values = []
        for moved in (weights + step, weights - step):
            mix.set_param("W", moved)
            values.append(float((mix.predict(X) * dY).sum()))
        assert mix.get_grad("W")[place] == pytest.approx((values[0] - values[1]) / 2e-2, rel=1e-2)


def test_what_is_refused(tmp_path, encoder):
    pooled = make_tiny_encoder(tmp_path / "pooled", output="pooled")
    with pytest.raises(InvalidParameterError, match=r"graph gives states of tokens; .* gives pooled"):
        _ = EncoderShim(pooled).encoder
    with pytest.raises(EncoderFormatError, match="there is no such folder"):
        _ = EncoderShim(tmp_path / "nothing").encoder
    with pytest.raises(InvalidParameterError, match="rows must hold a number for each of the 4 attrs; got 1"):
        pipeline({"@architectures": "tlclassic.StaticVectors.v1", "rows": [1]})
    with pytest.raises(InvalidParameterError, match="store must be one of 'embed', 'refer'; got 'x'"):
        EncoderShim(encoder, store="x")


# -- missing annotations ---------------------------------------------------------------------------------------------


def test_trees_are_scored_where_there_are_any():
    nlp = spacy.blank("en")
    nlp.add_pipe("parser", config={"scorer": {"@scorers": "tlclassic.masked_parser_scorer.v1"}})
    words, tree = ["Anna", "likes", "Berlin"], {"heads": [1, 1, 1], "deps": ["nsubj", "ROOT", "obj"]}
    bare = Example(Doc(nlp.vocab, words=words * 2), Doc(nlp.vocab, words=words * 2))
    right = Example(Doc(nlp.vocab, words=words, **tree), Doc(nlp.vocab, words=words, **tree))
    half = Example(Doc(nlp.vocab, words=words, heads=[1, 1, 0], deps=["nsubj", "ROOT", "x"]), right.reference)
    parser = nlp.get_pipe("parser")
    scores = parser.score([bare, right, half])
    assert (scores["dep_uas"], scores["dep_las"]) == pytest.approx((5 / 6, 5 / 6))
    assert scores["sents_f"] == 1.0
    assert parser.score([bare])["dep_las"] is None
    # What it is for: spaCy's own forgets the words behind a document without a tree.
    own = spacy.blank("en").add_pipe("parser").score([bare, right, half])
    assert own["dep_las"] == 0.0


def test_what_is_not_annotated_teaches_nothing():
    nlp = spacy.blank("en")
    textcat = nlp.add_pipe("tlclassic_masked_textcat")
    cats = [{"pos": 1.0, "neg": 0.0}, {"pos": 1.0}, {"neg": 0.0}, {}]
    rows = [Example.from_dict(nlp.make_doc("a film"), {"cats": row}) for row in cats]
    nlp.initialize(lambda: rows)
    assert textcat.labels == ("pos", "neg")
    scores = np.full((4, 2), 0.5, "f4")
    loss, gradient = textcat.get_loss(rows, scores)
    assert gradient.tolist() == [[-0.5, 0.5], [-0.5, 0.5], [0.0, 0.5], [0.0, 0.0]]
    assert loss == pytest.approx((5 * 0.25) / 8)
    assert nlp.evaluate(rows[3:]).get("cats_score") is None
    assert nlp.evaluate(rows[:1])["cats_score"] is not None
