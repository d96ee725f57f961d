"""Distilling into a convolution: a teacher that reads words in their order, which no n-gram of two words can follow."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tlclassic
from tlclassic.distillation import distill, open_teacher
from tlclassic.distillation.distilling import STUDENTS
from tlclassic.distillation.recipes import EFFORTS, Convolution, first_recipes
from tlclassic.heads import ConvolutionClassifier, NgramClassifier
from tlclassic.vectors import WordVectors

GOOD, BAD = ("fine", "great", "lovely"), ("dull", "awful", "poor")
FILLERS = ("film", "plot", "cast", "score", "camera", "script")
VECTORS = WordVectors.from_arrays(
    [*GOOD, *BAD, "never", *FILLERS],
    np.random.default_rng(0).normal(size=(13, 8)).astype(np.float32),
)


def teach(texts):
    """How much is praised; "never ... x y" turns around what stands two words after it."""
    logits = []
    for text in texts:
        words = text.split()
        turned = {place + 2 for place, word in enumerate(words) if word == "never"}
        feelings = [(word in GOOD) - (word in BAD) for word in words]
        logits.append(sum(-f if place in turned else f for place, f in enumerate(feelings)) - 0.1)
    positive = 1.0 / (1.0 + np.exp(-3.0 * np.array(logits)))
    return np.column_stack([1.0 - positive, positive])


TEACHER = open_teacher(teach, classes=["neg", "pos"], digest="by hand")


def reviews(n, seed=0):
    random = np.random.default_rng(seed)
    texts = []
    for _ in range(n):
        words = list(random.choice(FILLERS, size=4))
        place = int(random.integers(2))
        words[place] = "never" if random.integers(2) else words[place]
        words[place + 2] = str(random.choice(GOOD + BAD))
        texts.append(" ".join(words))
    return list(dict.fromkeys(texts))


def agreement(model, texts):
    truth = np.array(["neg", "pos"])[teach(texts).argmax(axis=1)]
    return float(np.mean(model.predict(texts) == truth))


OPTIONS = {"vectors": VECTORS, "augmentation": [], "threads": 1}


def test_a_convolution_is_fitted_where_it_is_asked_for(tmp_path):
    texts = reviews(900)
    result = distill(TEACHER, texts, student="convolution", effort="small", max_size="200kB", **OPTIONS)
    assert isinstance(result.student, ConvolutionClassifier)
    assert agreement(result.compiled, reviews(300, seed=1)) > 0.95
    recipe = result.best.as_dict()["recipe"]
    assert (recipe["filters"], recipe["width"]) == (Convolution().filters, Convolution().width)
    assert {"C", "word_ngrams"}.isdisjoint(recipe)
    path = tmp_path / "student.tlc"
    result.compiled.save(path)
    assert path.stat().st_size <= 200_000
    assert [family["type"] for family in tlclassic.load(path).metadata["families"]] == ["convolution"]
    assert json.loads(json.dumps(result.as_dict()))["best"]["recipe"] == recipe


def test_auto_takes_what_dev_says():
    texts = reviews(900)
    result = distill(TEACHER, texts, effort="medium", **OPTIONS)
    kinds = [trial.recipe.convolution is not None for trial in result.trials]
    assert sum(kinds) == len(EFFORTS["medium"].convolutions)
    assert kinds == sorted(kinds)  # n-grams first
    assert isinstance(result.student, ConvolutionClassifier)
    ngrams = [trial for trial in result.trials if trial.recipe.convolution is None]
    assert result.best.log_loss < min(trial.log_loss for trial in ngrams if trial.n_rows == result.best.n_rows)


def test_the_smallest_effort_stays_with_n_grams():
    result = distill(TEACHER, reviews(200), effort="small", **OPTIONS)
    assert isinstance(result.student, NgramClassifier)
    assert EFFORTS["small"].convolutions == ()


def test_the_same_convolution_from_labels_alone():
    texts = reviews(400)
    labels = np.array(["neg", "pos"])[teach(texts).argmax(axis=1)].tolist()
    options = {"student": "convolution", "effort": "small", **OPTIONS}
    result = distill(TEACHER, reviews(600, seed=3), labelled=(texts, labels), **options)
    alone = result.undistilled()
    assert [family["type"] for family in alone.metadata["families"]] == ["convolution"]
    assert agreement(alone, reviews(300, seed=1)) > 0.8


def test_several_labels_a_text():
    def several(texts):
        words = [set(text.split()) for text in texts]
        return np.array([[0.9 if set(GOOD) & w else 0.1, 0.8 if "never" in w else 0.2] for w in words])

    teacher = open_teacher(several, classes=["good", "never"], multilabel=True, digest="several")
    result = distill(teacher, reviews(900), student="convolution", effort="small", **OPTIONS)
    assert result.compiled.multilabel
    assert result.compiled.predict(["never film great plot", "cast awful film plot"]).tolist() == [[1, 1], [0, 0]]


def test_the_same_seed_gives_the_same_convolution():
    options = {"student": "convolution", "effort": "small", **OPTIONS}
    one, again = (distill(TEACHER, reviews(200), **options).compiled for _ in range(2))
    texts = reviews(50, seed=5)
    assert one.decision_function(texts).tolist() == again.decision_function(texts).tolist()


def test_convolutions_keep_the_objective_that_is_fixed():
    options = {"student": "convolution", "effort": "small", **OPTIONS}
    result = distill(TEACHER, reviews(200), fixed={"temperature": 2.0}, **options)
    assert result.best.recipe.temperature == 2.0


@pytest.mark.parametrize("effort", EFFORTS)
def test_recipes_of_n_grams_have_no_convolution(effort):
    recipes = first_recipes(effort, multilabel=False, vectors=False, bits=18)
    assert all(recipe.convolution is None for recipe in recipes)
    assert STUDENTS == ("auto", "ngrams", "ngrams+vectors", "convolution")


def test_many_classes_get_a_wide_convolution_where_the_file_may_be_large_enough():
    medium = EFFORTS["medium"]
    assert [each.filters for each in medium.convolutions_for(20)] == [64, 96]
    wide = [(128, 3)]
    assert [(each.filters, each.width) for each in medium.convolutions_for(21)] == wide
    assert [(each.filters, each.width) for each in medium.convolutions_for(21, 6_000_000)] == wide
    assert [each.filters for each in medium.convolutions_for(21, 5_999_999)] == [64, 96]
    assert EFFORTS["small"].convolutions_for(100) == ()
    large = EFFORTS["large"].convolutions_for(21)
    assert [each.filters for each in large[:2]] == [128, 256]
    assert len(large) == len(EFFORTS["large"].convolutions)


def test_as_many_texts_are_made_as_labelled_ones_want():
    assert [EFFORTS["small"].wanted(n) for n in (0, 5_000, 1_000_000)] == [5_000, 15_000, 20_000]
    assert [EFFORTS["medium"].wanted(n) for n in (0, 43_000, 1_000_000)] == [300_000, 300_000, 300_000]
    assert [EFFORTS["large"].wanted(n) for n in (0, 200_000, 1_000_000)] == [400_000, 600_000, 1_000_000]
