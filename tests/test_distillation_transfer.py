"""Transfer text: sampled from files, and made from few texts."""

import doctest
import gzip
import time
from collections import Counter
from random import Random

import numpy as np
import pytest

import tlclassic.distillation.augmentation
import tlclassic.distillation.transfer
from tlclassic.data import open_writer
from tlclassic.distillation import augmentation
from tlclassic.distillation.augmentation import MASK, METHODS, Material, augment
from tlclassic.distillation.neighbours import nearest_words
from tlclassic.distillation.transfer import TextSample, read_transfer
from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.features import NgramVectorizer
from tlclassic.vectors import WordVectors

# -- reading ---------------------------------------------------------------------------------------------------------


def lines(path, texts):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in texts)
    return path


@pytest.mark.parametrize("name", ["f.tsv", "f.csv", "f.jsonl", "f.parquet", "f.jsonl.zst"])
def test_columns_of_every_format(tmp_path, name):
    with open_writer(tmp_path / name, columns=["id", "body"]) as writer:
        writer.write({"id": [1, 2, 3, 4], "body": ["one", "two, 2", " ", "one"]})
    assert read_transfer([tmp_path / name], max_texts=9, text="body") == ["one", "two, 2"]


def test_several_files_one_text_a_line(tmp_path):
    first = lines(tmp_path / "a.txt", ["one", "", "two", "  "])
    second = lines(tmp_path / "b.txt.gz", ["two", "three", "four"])
    assert read_transfer([first, second], max_texts=None) == ["one", "two", "three", "four"]
    assert read_transfer([first, second], max_texts=None, exclude=["two", "four"]) == ["one", "three"]


def test_a_sample_is_that_of_its_seed(tmp_path):
    path = lines(tmp_path / "a.txt", [f"text {i}" for i in range(1000)])
    sample = read_transfer([path], max_texts=50, random_state=1)
    assert len(set(sample)) == 50
    assert sample == sorted(sample, key=lambda text: int(text.split()[1]))
    assert read_transfer([path], max_texts=50, random_state=1) == sample
    other = read_transfer([path], max_texts=50, random_state=2)
    assert len(set(sample) & set(other)) < 15
    # The order of the texts and how often they come are of no matter.
    path = lines(tmp_path / "b.txt", [f"text {i}" for i in reversed(range(1000))] * 3)
    assert sorted(read_transfer([path], max_texts=50, random_state=1)) == sorted(sample)


def test_a_sample_is_uniform():
    counts = Counter()
    for seed in range(400):
        sample = TextSample(5, random_state=seed)
        # The first text comes most often and is no likelier for that.
        sample.add(["0"] * 50 + [str(i) for i in range(20)])
        counts.update(sample.texts())
    assert sum(counts.values()) == 2000
    # 100 expected of each; the standard deviation is 8.7.
    assert 65 < min(counts[str(i)] for i in range(20)) <= max(counts.values()) < 135


def test_a_sample_is_all_that_is_in_memory():
    sample = TextSample(10, random_state=0)
    sample.add(str(i) for i in range(5000))
    assert (len(sample._heap), len(sample._kept)) == (10, 10)


def test_sources_that_cannot_be_read(tmp_path):
    with pytest.raises(InvalidParameterError, match="sources must be a list of paths"):
        read_transfer(str(tmp_path), max_texts=5)
    with pytest.raises(InvalidParameterError, match="max_texts must be at least 1"):
        read_transfer([], max_texts=0)
    with pytest.raises(DataFormatError, match="cannot read it"):
        read_transfer([tmp_path / "none.txt"], max_texts=5)
    (tmp_path / "bad.txt").write_bytes(b"fine\nb\xff\n")
    with pytest.raises(DataFormatError, match=r"bad\.txt:2: invalid UTF-8"):
        read_transfer([tmp_path / "bad.txt"], max_texts=5)
    assert read_transfer([], max_texts=5) == []


# -- making ----------------------------------------------------------------------------------------------------------

TEXTS = [
    "Not a bad film, all in all. The lead (a star) DOESN'T shine!",
    "Dull stuff; nobody cares.",
    "这部电影很好。我不喜欢演员，但是故事不错！",
]
VECTORS = WordVectors.from_arrays(
    ["film", "movie", "bad", "poor", "star", "!"],
    np.array([[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0.1, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=np.float32),
)


def made(name, text, n=200, vectors=VECTORS):
    material, random = Material([text], vectors), Random(0)
    return {METHODS[name](text, material, random) for _ in range(n)}


def test_tokens_are_dropped_and_the_rest_stays():
    found = made("drop_tokens", "Good, OLD film")
    assert found == {", OLD film", "Good, film", "Good, OLD ", "Good, ", ", OLD ", ", film"}
    # A contraction is one word.
    found = made("drop_tokens", "it doesn't shine")
    assert found == {"doesn't shine", "it shine", "it doesn't ", "it ", "doesn't ", "shine"}
    assert made("drop_tokens", "alone!") == {"alone", "!"}
    assert made("drop_tokens", "alone") == {""}


def test_a_mask_is_a_word_that_no_ngram_crosses():
    found = made("mask_tokens", "not a bad film")
    assert {"not a _ film", "_ a bad film"} <= found
    assert made("mask_tokens", "a-b") == {"_ -b", "a- _"}
    vectorizer = NgramVectorizer(word_ngrams=(2, 2), norm="none").fit(["a film"])
    crossing = set(vectorizer.transform(["a film"]).indices.tolist())
    for punctuation in ("keep", "drop"):
        vectorizer.set_params(punctuation=punctuation)
        assert not crossing & set(vectorizer.transform([f"a {MASK} film"]).indices.tolist())
        assert crossing <= set(vectorizer.transform(["a film"]).indices.tolist())


def test_ngrams_are_sampled():
    found = made("sample_ngrams", "One, two three. Four five six")
    assert {"One", "One, two", "three. Four", "two three. Four five six"} <= found
    assert all(text in "One, two three. Four five six" for text in found)
    assert max(len(text.split()) for text in found) == 5
    assert made("sample_ngrams", "one two") == {"one", "two"}


def test_words_are_replaced_by_their_neighbours():
    assert made("replace_neighbours", "A Bad FILM!") == {"A Poor FILM!", "A Bad MOVIE!", "A Poor MOVIE!"}
    assert made("replace_neighbours", "star!") == {"star!"}
    assert nearest_words(["film star bad !"], VECTORS) == {"film": ["movie"], "bad": ["poor"]}
    assert nearest_words(["film"], VECTORS, min_cosine=0.05) == {"film": ["movie", "poor"]}


def test_neighbours_are_those_of_the_packaged_vectors():
    found = nearest_words(["an excellent film"], tlclassic.load_vectors("base-en"))
    assert len(found["excellent"]) == 8
    assert "wonderful" in found["excellent"]


def test_neighbours_are_found_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(700)]
    vectors = WordVectors.from_arrays(words, rng.normal(size=(700, 4)).astype(np.float32))
    whole = nearest_words([" ".join(words)], vectors, n=3)
    monkeypatch.setattr("tlclassic.distillation.neighbours._BLOCK", 64)
    assert nearest_words([" ".join(words)], vectors, n=3) == whole
    assert len(whole) == 700
    assert whole["w5"] == [word for word, _ in vectors.most_similar("w5", 3)]


def test_clauses_are_cut():
    found = {text.strip() for text in made("cut_clauses", TEXTS[0])}
    assert {"Not a bad film, all in all.", "Not a bad film,", "The lead", "a star", "DOESN'T shine!"} <= found
    assert TEXTS[0] not in found
    assert {"这部电影很好。", "我不喜欢演员，", "我不喜欢演员，但是故事不错！"} <= made("cut_clauses", TEXTS[2])
    assert {text.strip() for text in made("cut_clauses", "He said: “no way.” Then he left — at 3.5 pm")} >= {
        "Then he left",
        "at 3.5 pm",
        "“no way.",
    }
    assert made("cut_clauses", "no end in sight") == {""}


def test_halves_are_mixed():
    material = Material(["One two three four.", "five six seven eight!"])
    found = {augmentation.mix_halves("One two three four.", material, Random(seed)) for seed in range(20)}
    assert found == {"One two three four.", "One two seven eight!"}


def test_texts_are_spliced_at_a_word_that_both_have():
    texts = ["Where is the tallest building?", "Who was the first man?"]
    material, random = Material(texts), Random(0)
    found = {augmentation.splice_texts(texts[0], material, random) for _ in range(200)}
    # At "the"; at "?" there is nothing after it, and the text itself is not new.
    assert found == {"Where is the first man?", ""}
    assert {augmentation.splice_texts(texts[1], material, random) for _ in range(50)} == {
        "Who was the tallest building?", "",
    }  # fmt: skip
    # Case and spaces are those of the texts, words are the same in any case.
    texts = ["so  GOOD a film", "Good  old days", "A plot"]
    assert {augmentation.splice_texts(texts[0], Material(texts), random) for _ in range(300)} == {
        "so  GOOD  old days", "so  GOOD a plot", "",
    }  # fmt: skip
    assert augmentation.splice_texts("one", Material(["one two"]), random) == ""
    assert augmentation.splice_texts("no such words", Material(["one two"]), random) == ""


def test_seams_are_looked_up_in_part_of_many_texts(monkeypatch):
    texts = [f"{word} of number {word}" for word in "abcdefghij"]
    monkeypatch.setattr(augmentation, "SPLICED", 50)
    assert len(Material(texts).occurrences["of"]) == 4
    monkeypatch.setattr(augmentation, "WINDOW", 6)
    material = Material(["a of b of c of d"])
    assert list(material.occurrences["of"]) == [3]
    assert augmentation.splice_texts("out of it", material, Random(0)) == "out of b"


# -- all of them -----------------------------------------------------------------------------------------------------


def test_what_is_made_is_new():
    found = list(augment(TEXTS, 300, random_state=3, vectors=VECTORS))
    assert len(found) == 300 == len({*found, *TEXTS}) - len(TEXTS)
    assert all(text == text.strip() != "" for text in found)
    assert list(augment(TEXTS, 300, random_state=3, vectors=VECTORS)) == found
    assert list(augment(TEXTS, 300, random_state=4, vectors=VECTORS)) != found
    assert list(augment(TEXTS, 10, random_state=3, vectors=VECTORS)) == found[:10]


def test_each_way_can_be_switched_off():
    assert list(METHODS) == [
        "splice_texts", "drop_tokens", "mask_tokens", "sample_ngrams", "replace_neighbours", "cut_clauses",
        "mix_halves",
    ]  # fmt: skip
    found = list(augment(TEXTS, 60, methods=["drop_tokens", "cut_clauses"], vectors=VECTORS))
    assert not any(MASK in text or "movie" in text for text in found)
    assert any(MASK in text for text in augment(TEXTS, 60, vectors=VECTORS))
    with pytest.raises(InvalidParameterError, match="methods must be one of 'splice_texts'"):
        augment(TEXTS, 60, methods=["translate"])
    with pytest.raises(InvalidParameterError, match="methods must be a list of different names"):
        augment(TEXTS, 60, methods=[])


def test_texts_are_drawn_by_their_weights():
    texts = ["one two", " ", "three four", "five six"]
    found = list(augment(texts, 60, methods=["drop_tokens", "mask_tokens"], weights=[1, 5, 0, 0], vectors=VECTORS))
    assert set(found) == {"one", "two", "_ two", "one _"}
    words = " ".join(f"a{i}" for i in range(400))
    texts, weights = [words, words.replace("a", "b")], [9.0, 1.0]
    found = list(augment(texts, 300, methods=["sample_ngrams"], weights=weights, vectors=VECTORS))
    assert 230 < sum(text.startswith("a") for text in found) < 295
    assert found == list(augment(texts, 300, methods=["sample_ngrams"], weights=[18, 2], vectors=VECTORS))
    assert list(augment(["one two"], 5, weights=[0], vectors=VECTORS)) == []
    with pytest.raises(InvalidParameterError, match="weights must be as many as texts; got 2 and 1"):
        augment(["one two"], 5, weights=[1, 1])


@pytest.mark.parametrize("texts", [[], ["", " "], ["word"], ["word"] * 5, ["!"], ["..."], ["\n"], ["one", "two"]])
def test_texts_that_give_nothing_come_to_an_end(texts):
    found = list(augment(texts, 1000, vectors=VECTORS))
    assert not set(found) & {text.strip() for text in texts}
    assert len(found) <= 8


def test_two_words_give_little():
    assert set(augment(["good film"], 1000, vectors=VECTORS)) == {
        "good", "film", "_ film", "good _", "good movie",
    }  # fmt: skip


@pytest.mark.parametrize("piece", ["word and more, ", "x", " \n", "a,", "“"], ids=repr)
def test_a_book_costs_little(piece):
    book = "start " + piece * (10_000_000 // len(piece)) + " end"
    began = time.monotonic()
    found = list(augment([book, "a short text"], 30, methods=[m for m in METHODS if m != "replace_neighbours"]))
    assert time.monotonic() - began < 10.0
    assert found
    assert max(map(len, found)) <= 2 * augmentation.WINDOW + 1


@pytest.mark.parametrize("module", [tlclassic.distillation.transfer, augmentation], ids=lambda module: module.__name__)
def test_the_docstrings(module):
    result = doctest.testmod(module)
    assert (result.attempted >= 1, result.failed) == (True, 0)
