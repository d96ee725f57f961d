"""EmbeddingVectorizer: choices, refusals, odd texts, company in pipelines, saving without the vectors."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline

from tlclassic import EmbeddingVectorizer, Tokenizer, WordVectors
from tlclassic.errors import ArtifactError, CorruptArtifactError, InvalidParameterError
from tlclassic.features import tokens
from tlclassic.storage import Artifact, ArtifactWriter

WORDS = ["the", "good", "bad", "film", "n't", "do", "!"]
VECTORS = WordVectors.from_arrays(WORDS, np.eye(7, dtype=np.float32))
TEXTS = ["the good film", "the bad film", "do n't", "film!"]


def _known(vectors, text):
    return EmbeddingVectorizer(vectors).fit([text]).transform([text])[0].nonzero()[0].tolist()


def test_the_tokenizer_suits_the_vocabulary():
    chosen = EmbeddingVectorizer(VECTORS).fit(TEXTS).tokenizer_
    assert chosen == Tokenizer(case="lower", contractions="split", punctuation="emphasis")
    cased = WordVectors.from_arrays(["The", "the", "Paris", "don't"], np.eye(4, dtype=np.float32))
    chosen = EmbeddingVectorizer(cased).fit(TEXTS).tokenizer_
    assert chosen == Tokenizer(case="keep", contractions="keep", punctuation="drop")
    # Case is kept where it is known; "THE" falls back to "the".
    assert _known(cased, "The PARIS") == [0]
    assert _known(cased, "THE Paris don't") == [1, 2, 3]


def test_one_upper_case_word_does_not_make_a_vocabulary_cased():
    words = [*(f"word{i}" for i in range(300)), "<UNK>"]
    vectors = WordVectors.from_arrays(words, np.ones((301, 2), dtype=np.float32))
    assert EmbeddingVectorizer(vectors).fit(TEXTS).tokenizer_.case == "lower"


def test_lower_fallback_can_be_switched_off():
    for fallback, expected in ((True, 1.0), (False, 0.0)):
        vectorizer = EmbeddingVectorizer(VECTORS, tokenizer=str.split, lower_fallback=fallback).fit(TEXTS)
        assert vectorizer.transform(["GOOD"]).sum() == expected


def test_takes_a_callable_tokenizer():
    vectorizer = EmbeddingVectorizer(VECTORS, tokenizer=lambda text: text.split("|")).fit(TEXTS)
    np.testing.assert_array_equal(vectorizer.transform(["good|film|the good"])[0], [0, 0.5, 0, 0.5, 0, 0, 0])


@pytest.mark.parametrize("pooling", ["mean", "max", "min", "tfidf", "sif", "usif", "power"])
def test_texts_that_say_nothing_are_zero(pooling):
    vectorizer = EmbeddingVectorizer(VECTORS, pooling=pooling).fit(TEXTS)
    result = vectorizer.transform(["", "  \n", "xyzzy plugh", "\x00", "😀" * 5000])
    assert result.shape == (5, vectorizer.n_features_out_)
    assert not result.any()


@pytest.mark.parametrize("pooling", ["tfidf", "sif", "usif"])
@pytest.mark.parametrize("counts", ["train", "rank"])
def test_training_texts_without_known_words(pooling, counts):
    vectorizer = EmbeddingVectorizer(VECTORS, pooling=pooling, counts=counts).fit(["xyzzy", ""])
    result = vectorizer.transform(["good film", ""])
    assert np.isfinite(result).all()
    assert result[0].any()
    assert not result[1].any()


def test_long_texts_and_many_batches():
    texts = ["good " * 100_000, *(["film", "the good"] * (tokens.BATCH_SIZE + 3))]
    result = EmbeddingVectorizer(VECTORS, pooling=("mean", "sif")).fit_transform(texts)
    assert result.shape == (len(texts), 14)
    np.testing.assert_allclose(result[0, :7], [0, 1, 0, 0, 0, 0, 0], rtol=1e-6)
    assert len(np.unique(result[1::2], axis=0)) == 1


def test_texts_are_tokenised_once():
    calls = []

    def split(text):
        calls.append(text)
        return text.split()

    EmbeddingVectorizer(VECTORS, pooling=("sif", "usif", "tfidf"), tokenizer=split).fit_transform(TEXTS)
    assert calls == TEXTS
    calls.clear()
    EmbeddingVectorizer(VECTORS, pooling="mean", tokenizer=split).fit(TEXTS)
    assert calls == []


def test_normalize_makes_each_part_a_unit_vector():
    result = EmbeddingVectorizer(VECTORS, pooling=("mean", "tfidf"), normalize=True).fit_transform(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(result.reshape(4, 2, 7), axis=2), 1, rtol=1e-6)


def test_names_of_features():
    vectors = WordVectors.from_arrays(["a"], np.ones((1, 2), dtype=np.float32))
    vectorizer = EmbeddingVectorizer(vectors, pooling=("mean", "power"), powers=(1, 3, float("-inf"))).fit(["a"])
    assert vectorizer.get_feature_names_out().tolist() == [
        *("mean_0", "mean_1", "power1_0", "power1_1", "power3_0", "power3_1", "power-inf_0", "power-inf_1"),
    ]


def test_what_is_learnt():
    vectorizer = EmbeddingVectorizer(VECTORS, pooling=("mean", "tfidf", "sif"), a=0.5, counts="train").fit(TEXTS)
    assert list(vectorizer.weights_) == ["tfidf", "sif"]
    # "the" is 2 of 10 known running words, and 2 of 4 texts hold it.
    np.testing.assert_allclose(vectorizer.weights_["sif"][0], 0.5 / (0.5 + 2 / 10), rtol=1e-6)
    np.testing.assert_allclose(vectorizer.weights_["tfidf"][0], np.log(5 / 3) + 1, rtol=1e-6)
    assert vectorizer.components_["sif"].shape == (1, 7)
    assert vectorizer.n_features_out_ == 21


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"pooling": "median"}, "pooling must be one of 'mean', 'max'.*got 'median'"),
        ({"pooling": []}, r"pooling must be one of .* or a list of those; got \[\]"),
        ({"pooling": ("mean", "mean")}, "must not repeat themselves; mean occurs more than once"),
        ({"pooling": "power", "powers": (3, 3.0)}, "power3 occurs more than once"),
        ({"pooling": "power", "powers": (0.5,)}, "powers must be whole numbers from 1 to 16 .* got 0.5"),
        ({"pooling": "power", "powers": (float("nan"),)}, "got nan"),
        ({"pooling": "power", "powers": (-1,)}, "got -1"),
        ({"pooling": "power", "powers": ("2",)}, "got '2'"),
        ({"pooling": "power", "powers": ()}, "powers must be a list of powers"),
        ({"unknown": "skip"}, "unknown must be one of 'auto', 'ignore', 'zero', 'subword', 'mean'; got 'skip'"),
        ({"unknown": "subword"}, "unknown='subword' needs vectors with sub-words"),
        ({"counts": 5}, "counts must be one of 'train', 'rank', 'vectors', a path or a dict"),
        ({"pooling": "sif", "counts": "vectors"}, "counts='vectors' needs vectors that were saved with word counts"),
        ({"pooling": "sif", "counts": {}}, "at least one word with a count above 0"),
        ({"pooling": "sif", "counts": {"good": -1}}, r"counts\['good'\] must be at least 0; got -1"),
        ({"pooling": "sif", "counts": "no/such/file.txt"}, "no/such/file.txt: the word counts cannot be read"),
        ({"a": 0}, "a must be above 0; got 0"),
        ({"a": float("inf")}, "a must be finite; got inf"),
        ({"n_components": -1}, "n_components must be at least 0; got -1"),
        ({"normalize": 1}, "normalize must be one of True, False; got 1"),
        ({"lower_fallback": "yes"}, "lower_fallback must be one of True, False; got 'yes'"),
    ],
)
def test_refusals_come_from_fit(params, match):
    vectorizer = EmbeddingVectorizer(VECTORS, **params)
    with pytest.raises(ValueError, match=match):
        vectorizer.fit(TEXTS)
    with pytest.raises(NotFittedError):
        vectorizer.transform(TEXTS)


def test_opens_a_path_in_fit(tmp_path):
    path = tmp_path / "vectors.txt"
    vectorizer = EmbeddingVectorizer(path)
    path.write_text("good 1 0\nbad 0 1\n")
    np.testing.assert_array_equal(vectorizer.fit(TEXTS).transform(["good bad"]), [[0.5, 0.5]])
    assert vectorizer.vectors == path


def test_counts_from_a_file(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("the 90\nfilm 5\ngood 5\n")
    from_file = EmbeddingVectorizer(VECTORS, pooling="sif", counts=path).fit(TEXTS)
    from_dict = EmbeddingVectorizer(VECTORS, pooling="sif", counts={"the": 90, "film": 5, "good": 5}).fit(TEXTS)
    np.testing.assert_allclose(from_file.weights_["sif"][[0, 1, 2]], [1e-3 / 0.901, 1e-3 / 0.051, 1.0], rtol=1e-6)
    assert from_file.transform(TEXTS).tobytes() == from_dict.transform(TEXTS).tobytes()


def test_beside_tfidf_in_a_union():
    union = FeatureUnion([("tfidf", TfidfVectorizer()), ("vectors", EmbeddingVectorizer(VECTORS))])
    joined = union.fit_transform(TEXTS)
    assert joined.shape == (4, len(union.get_feature_names_out()))
    np.testing.assert_allclose(joined.toarray()[:, -7:], EmbeddingVectorizer(VECTORS).fit_transform(TEXTS))


def test_on_a_column_of_a_frame():
    frame = pd.DataFrame({"subject": TEXTS, "length": [1.0, 2.0, 3.0, 4.0]})
    columns = ColumnTransformer(
        [("text", EmbeddingVectorizer(VECTORS), "subject"), ("rest", "passthrough", ["length"])]
    )
    result = columns.fit_transform(frame)
    assert result.shape == (4, 8)
    assert columns.get_feature_names_out()[0] == "text__mean_0"


def test_searched_in_a_pipeline():
    texts, labels = TEXTS[:2] * 6, ["pos", "neg"] * 6
    pipeline = make_pipeline(EmbeddingVectorizer(VECTORS), LogisticRegression())
    grid = {"embeddingvectorizer__pooling": ["mean", ("mean", "max")], "embeddingvectorizer__a": [1e-3]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(texts, labels)
    assert search.predict(["good", "bad"]).tolist() == ["pos", "neg"]
    assert search.best_estimator_[0].vectors is VECTORS


def test_repr_is_short():
    shown = " ".join(repr(EmbeddingVectorizer(VECTORS, pooling="sif")).split())
    assert shown == f"EmbeddingVectorizer(pooling='sif', vectors={VECTORS!r})"


def test_travels_to_worker_processes():
    vectorizer = EmbeddingVectorizer(VECTORS, pooling=("mean", "sif")).fit(TEXTS)
    copy = pickle.loads(pickle.dumps(vectorizer))
    assert copy.transform(TEXTS).tobytes() == vectorizer.transform(TEXTS).tobytes()


def test_threads_share_one_vectorizer():
    vectorizer = EmbeddingVectorizer(VECTORS, pooling=("mean", "usif"), unknown="mean").fit(TEXTS)
    texts = [text * repeats for repeats in range(1, 200) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(vectorizer.transform, [texts] * 8))
    assert {result.tobytes() for result in results} == {vectorizer.transform(texts).tobytes()}


# -- saving ----------------------------------------------------------------------------------------------------------


def _with_subwords(oov):
    from tlclassic.vectors.subword import SubwordTable

    subwords = SubwordTable(np.ones((3, 7), np.float32), min_n=2, max_n=3, bucket=3)
    return WordVectors.from_arrays(WORDS, np.eye(7, dtype=np.float32), subwords=subwords, oov=oov)


@pytest.mark.parametrize(
    ("oov", "expected"), [("zero", "ignore"), ("lower", "ignore"), ("mean", "mean"), ("subword", "subword")]
)
def test_unknown_words_follow_the_vectors(oov, expected):
    vectors = _with_subwords(oov)
    vectorizer = EmbeddingVectorizer(vectors)
    result = vectorizer.fit_transform(["xyzzy good", *TEXTS])
    assert (vectorizer.unknown, vectorizer.unknown_) == ("auto", expected)
    named = EmbeddingVectorizer(vectors, unknown=expected).fit(TEXTS)
    assert named.transform(["xyzzy good"]).tobytes() == result[:1].tobytes()
    metadata, arrays = vectorizer.to_state()
    # The choice is kept even where the vectors given back have another policy.
    restored = EmbeddingVectorizer.from_state(metadata, arrays, vectors=vectors.with_oov("zero"))
    assert (restored.unknown, restored.unknown_) == ("auto", expected)
    assert restored.transform(["xyzzy good"]).tobytes() == result[:1].tobytes()
    assert EmbeddingVectorizer(vectors, unknown="zero").fit(TEXTS).unknown_ == "zero"


def test_a_function_cannot_be_saved():
    vectorizer = EmbeddingVectorizer(VECTORS, tokenizer=str.split).fit(TEXTS)
    with pytest.raises(InvalidParameterError, match="must be one that can be saved; got the function"):
        vectorizer.to_state()


def test_the_vectors_can_be_left_out(tmp_path):
    VECTORS.save(tmp_path / "store.tlc")
    vectorizer = EmbeddingVectorizer(WordVectors.load(tmp_path / "store.tlc"), pooling="sif").fit(TEXTS)
    metadata, arrays = vectorizer.to_state(include_vectors=False)
    assert not [name for name in arrays if name.startswith("vectors/")]
    expected = vectorizer.transform(TEXTS)
    assert EmbeddingVectorizer.from_state(metadata, arrays).transform(TEXTS).tobytes() == expected.tobytes()
    given = EmbeddingVectorizer.from_state(metadata, arrays, vectors=VECTORS)
    assert given.transform(TEXTS).tobytes() == expected.tobytes()
    other = WordVectors.from_arrays(WORDS, 2 * np.eye(7, dtype=np.float32))
    with pytest.raises(ArtifactError, match="not the word vectors that the model was trained on"):
        EmbeddingVectorizer.from_state(metadata, arrays, vectors=other)


def test_vectors_without_a_store_cannot_be_left_out():
    with pytest.raises(InvalidParameterError, match="they do not come from a store"):
        EmbeddingVectorizer(VECTORS).fit(TEXTS).to_state(include_vectors=False)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda metadata, arrays: metadata.pop("params"), "incomplete"),
        (lambda metadata, arrays: metadata["params"].update(pooling="median"), "wrong parameter: pooling"),
        (lambda metadata, arrays: metadata["params"].update(pooling={"float": "x"}), "wrong parameter|incomplete"),
        (lambda metadata, arrays: metadata.update(unknown="auto"), "wrong parameter: unknown must be one of 'ignore'"),
        (
            lambda metadata, arrays: metadata.update(unknown="subword"),
            "wrong parameter: .* needs vectors with sub-words",
        ),
        (lambda metadata, arrays: arrays.pop("weights/sif"), "incomplete"),
        (lambda metadata, arrays: arrays.update({"weights/sif": np.ones(3, np.float32)}), r"shape \(3,\)"),
        (lambda metadata, arrays: arrays.update({"components/sif": np.ones((1, 3))}), r"expected \(k, 7\)"),
        (lambda metadata, arrays: metadata.update(tokenizer={"case": "shout"}), "wrong parameter|incomplete"),
    ],
)
def test_a_spoilt_state_is_refused(spoil, match):
    metadata, arrays = EmbeddingVectorizer(VECTORS, pooling="sif").fit(TEXTS).to_state()
    spoil(metadata, arrays)
    with pytest.raises(CorruptArtifactError, match=match):
        EmbeddingVectorizer.from_state(metadata, arrays)


@pytest.mark.parametrize("options", [{"counts": {"good": 2, "film": 1}}, {"n_components": 0}, {"pooling": "power"}])
def test_survives_a_file(tmp_path, options):
    vectorizer = EmbeddingVectorizer(VECTORS, **{"pooling": ["sif", "usif"], **options}).fit(TEXTS)
    metadata, arrays = vectorizer.to_state()
    with ArtifactWriter(tmp_path / "model", kind="test") as writer:
        writer.metadata.update(metadata)
        for name, array in arrays.items():
            writer.add(name, array)
    artifact = Artifact(tmp_path / "model")
    restored = EmbeddingVectorizer.from_state(
        artifact.metadata, {name: artifact.array(name) for name in artifact.names}
    )
    assert restored.transform(TEXTS).tobytes() == vectorizer.transform(TEXTS).tobytes()
    assert restored.counts == vectorizer.counts
