"""Distilling: what is learnt, chosen and compiled, on a teacher that can be computed by hand."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import numpy as np
import pytest

from tlclassic.distillation import distill, open_teacher
from tlclassic.distillation.augmentation import MASK
from tlclassic.distillation.material import gather, make_texts, to_make
from tlclassic.distillation.recipes import EFFORTS, Convolution, first_recipes
from tlclassic.distillation.searching import LABELLED, MADE, TRANSFER, Pool, Search, Trial, calibrated, solving
from tlclassic.distillation.soft_label_files import SoftLabels
from tlclassic.errors import InvalidParameterError

WORDS = {"fine": 1.0, "great": 2.1, "lovely": 1.6, "dull": -1.3, "awful": -2.4, "poor": -1.7}
FILLERS = ("film", "plot", "cast", "score", "camera", "script", "scene", "ending")


def teach(texts):
    z = np.array([sum(WORDS.get(word, 0.0) for word in text.split()) - 0.3 for text in texts])
    positive = 1.0 / (1.0 + np.exp(-2.0 * z))
    return np.column_stack([1.0 - positive, positive])


TEACHER = open_teacher(teach, classes=["neg", "pos"], digest="by hand")


def reviews(n, seed=0):
    random = np.random.default_rng(seed)
    words = [*WORDS, *FILLERS]
    return [" ".join(random.choice(words, size=random.integers(3, 8))) for _ in range(n)]


def labels_of(texts):
    return np.array(["neg", "pos"])[teach(texts).argmax(axis=1)].tolist()


def agreement(model, texts):
    return float(np.mean(model.predict(texts) == np.array(labels_of(texts))))


def test_a_student_learns_from_texts_without_labels():
    texts = reviews(600)
    result = distill(TEACHER, texts, effort="small")
    assert agreement(result.compiled, reviews(400, seed=1)) > 0.95
    assert result.pool.counts()["labelled"] == 0
    assert result.teacher_score == 1.0  # judged by its own answers
    assert "judged by the teacher" in " ".join(result.notes)


def test_labelled_texts_alone_are_enough_and_some_are_held_out():
    texts = list(dict.fromkeys(reviews(300)))
    result = distill(TEACHER, labelled=(texts, labels_of(texts)), effort="small", augmentation=[])
    counts = result.pool.counts()
    assert counts["dev"] == len(texts) // 10
    assert counts["labelled"] == len(texts) - counts["dev"]
    assert counts["transfer"] == counts["made"] == 0
    assert set(result.pool.dev_texts).isdisjoint(result.pool.texts)
    assert agreement(result.compiled, reviews(400, seed=1)) > 0.85


def test_few_labels_are_outdone_by_a_teacher():
    labelled = reviews(12, seed=3)
    dev = reviews(200, seed=4)
    result = distill(
        TEACHER,
        reviews(800, seed=5),
        labelled=(labelled, labels_of(labelled)),
        dev=(dev, labels_of(dev)),
        effort="small",
    )
    test = reviews(500, seed=6)
    assert agreement(result.compiled, test) > agreement(result.undistilled(), test) + 0.05


def test_the_compiled_student_is_the_student_and_keeps_where_it_came_from(tmp_path):
    import tlclassic

    result = distill(TEACHER, reviews(500), effort="small", dtype="float32", provenance={"who": "test"})
    texts = reviews(50, seed=1)
    np.testing.assert_allclose(result.compiled.predict_proba(texts), result.student.predict_proba(texts), atol=1e-5)
    result.compiled.save(tmp_path / "student.tlc")
    provenance = tlclassic.load(tmp_path / "student.tlc").metadata["provenance"]
    assert provenance["who"] == "test"
    assert provenance["teacher"] == {"name": "teach", "digest": "by hand"}
    assert provenance["search"]["score"] == result.best.score


def test_the_same_seed_gives_the_same_student_and_another_one_does_not():
    texts = reviews(700)
    proba = [
        distill(TEACHER, texts, effort="small", random_state=seed).compiled.predict_proba(texts[:50])
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(proba[0], proba[1])
    assert not np.array_equal(proba[0], proba[2])


def test_everything_reported_is_json():
    result = distill(TEACHER, reviews(300), effort="small")
    shown = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert shown["n_trials"] == len(shown["trials"]) == len(result.trials)
    assert shown["texts"] == result.pool.counts()
    assert shown["best"]["recipe"]["word_ngrams"] == [1, 2] or shown["best"]["recipe"]["word_ngrams"] == [1, 3]


def test_the_chosen_trial_has_the_least_log_loss_among_the_best_on_dev():
    dev = reviews(150, seed=9)
    result = distill(TEACHER, reviews(400), dev=(dev, labels_of(dev)), effort="small")
    most = max(trial.score for trial in result.trials)
    near = [trial for trial in result.trials if trial.score >= most - 0.5 * np.sqrt(most * (1 - most) / 150)]
    assert result.best.log_loss == min(trial.log_loss for trial in near)
    assert len({trial.log_loss for trial in result.trials}) > 2


def test_log_loss_is_that_at_the_best_temperature():
    wanted, sure = np.array([[1.0], [1.0], [0.0]]), np.array([[0.999], [0.999], [0.999]])
    assert calibrated(wanted, sure, "sigmoid") < 1.3
    # At half the logits.
    softer = 1 / (1 + (1 / 0.999 - 1) ** 0.4)
    assert calibrated(wanted, sure, "sigmoid") == pytest.approx(-(2 * np.log(softer) + np.log(1 - softer)) / 3)
    many = np.array([[0.7, 0.2, 0.1]])
    assert calibrated(np.eye(3)[:1], many, "softmax") <= -np.log(0.7)


def test_size_curve_grows_and_a_limit_holds(tmp_path):
    result = distill(TEACHER, reviews(600), effort="small", max_size="300kB")
    result.compiled.save(tmp_path / "student.tlc")
    assert (tmp_path / "student.tlc").stat().st_size <= 300_000
    curve = result.size_curve([100_000, 200_000, 400_000])
    assert [row["bytes"] for row in curve] == sorted(row["bytes"] for row in curve)
    assert all(row["bytes"] <= row["max_size"] for row in curve)


def test_several_labels_a_text():
    def several(texts):
        return np.column_stack([[0.9 if word in text else 0.05 for text in texts] for word in ("film", "plot", "cast")])

    teacher = open_teacher(several, classes=["film", "plot", "cast"], multilabel=True)
    texts = reviews(600)
    truth = [[name for name in teacher.classes if name in text] for text in texts]
    dev = reviews(150, seed=2)
    result = distill(
        teacher,
        labelled=(texts, truth),
        dev=(dev, [[name for name in teacher.classes if name in text] for text in dev]),
        effort="small",
    )
    assert result.metric == "macro_f1"
    test = reviews(200, seed=3)
    wanted = several(test) > 0.5
    assert float((result.compiled.predict(test) == wanted).mean()) > 0.97


def test_word_vectors_can_stand_beside_the_ngrams():
    result = distill(
        TEACHER, reviews(400), student="ngrams+vectors", effort="small", fixed={"C": 1.0, "hard_weight": 0.0}
    )
    assert any(trial.recipe.features.vectors_weight == 0.5 for trial in result.trials)
    assert {trial.recipe.C for trial in result.trials} == {1.0}


# -- what it learns from ---------------------------------------------------------------------------------------------


def test_nothing_of_dev_is_learnt_from():
    dev = reviews(50, seed=1)
    labelled = [*dev[:10], *reviews(50, seed=2)]
    material = gather(
        TEACHER, [*dev, *reviews(50, seed=3)], (labelled, labels_of(labelled)), (dev, labels_of(dev)), 1000, 0
    )
    assert set(material.labelled).isdisjoint(dev)
    assert set(material.transfer).isdisjoint(dev)
    assert len(material.hard) == len(material.labelled)
    assert "10 labelled texts are also in dev" in " ".join(material.notes)


def test_no_more_texts_than_the_effort_allows_and_none_twice():
    texts = [f"text {i}" for i in range(100)]
    material = gather(TEACHER, [*texts, *texts, " "], None, (["a text"], ["pos"]), 30, 0)
    assert len(material.transfer) == len(set(material.transfer)) == 30
    assert "30 of 100" in material.notes[-1]


def test_labelled_texts_are_made_into_more_though_there_are_enough_others():
    assert to_make(10, 500, 100, 60) == (50, True)
    assert to_make(1, 500, 100, 60) == (50, True)
    assert to_make(70, 500, 100, 60) == (0, False)
    assert to_make(10, 20, 100, 60) == (70, False)
    assert to_make(10, 0, 100, 60) == (90, False)
    assert to_make(0, 500, 100, 60) == (0, False)
    labelled = [f"a camera {i} of its own kind" for i in range(4)]
    material = gather(TEACHER, reviews(100), (labelled, ["pos", "neg"] * 2), (["a text"], ["pos"]), 1000, 0)
    made = make_texts(material, 50, None, ["mask_tokens", "mix_halves"], None, 0, own=30)
    assert 0 < len(made) <= 26
    assert all("camera" in text or "kind" in text or "own" in text for text in made)
    assert (
        make_texts(material, 50, 3, ["mask_tokens"], None, 0, own=30)
        == make_texts(material, 50, None, ["mask_tokens"], None, 0, own=30)[:3]
    )


def test_short_texts_are_spliced_and_long_ones_cut_by_default():
    def made(texts, least):
        labelled = texts, ["pos", "neg"] * (len(texts) // 2)
        return make_texts(gather(TEACHER, [], labelled, (["a text"], ["pos"]), 1000, 0), least, None, None, None, 0)

    short = reviews(60)
    mixed = made(short, 160)
    # Each word and the next have stood together in some text.
    pairs = {pair for text in short for pair in pairwise(text.split())}
    whole = [text for text in mixed if all(pair in pairs for pair in pairwise(text.split()))]
    assert len(mixed) > 90
    assert any(MASK in text.split() for text in mixed)
    assert len(mixed) // 2 < len(whole) < len(mixed)
    long = [" ".join(f"{word}{i} so" for i in range(15)) for word in "abcdefgh"]
    cut = made(long, 60)
    assert any(MASK in text.split() for text in cut)
    assert not {text for text in cut if len(text.split()) > 30}
    # Two texts without a word in common are spliced in no way.
    assert len(made(["one two three", "four five six"], 12)) > 5


def test_texts_of_rare_classes_are_made_into_more():
    def texts(kind, n):
        return [" ".join(f"{kind}{i}x{j}" for j in range(20)) for i in range(n)]

    labelled = ([*texts("common", 95), *texts("rare", 5)], ["neg"] * 95 + ["pos"] * 5)
    material = gather(TEACHER, texts("other", 20), labelled, (["a text"], ["pos"]), 1000, 0)
    shares = {}
    for even in (False, True):
        made = make_texts(material, 720, None, ["sample_ngrams"], None, 0, even=even)
        shares[even] = [sum(text.startswith(kind) for text in made) / len(made) for kind in ("rare", "common", "other")]
    assert shares[False] == pytest.approx([5 / 120, 95 / 120, 20 / 120], abs=0.04)
    # The square root of 19 times as often as a common one; those without a label as often as labelled ones on average.
    assert shares[True] == pytest.approx([0.187 * 100 / 120, 0.813 * 100 / 120, 20 / 120], abs=0.04)


def test_texts_without_any_label_are_made_into_more_as_well():
    material = gather(TEACHER, ["a film of two parts"], None, (["a text"], ["pos"]), 1000, 0)
    hard = np.zeros((2, 2))
    none = dataclasses.replace(material, labelled=["one two three", "four five six"], hard=hard)
    assert make_texts(none, 20, None, ["mask_tokens"], None, 0, even=True)
    assert make_texts(material, 20, None, ["mask_tokens"], None, 0, even=True)


def test_texts_are_made_where_there_are_few_only():
    material = gather(TEACHER, reviews(100), None, (["a text"], ["pos"]), 1000, 0)
    made = make_texts(material, 150, None, None, None, 0)
    assert 0 < len(made) <= 150 - len(material.transfer)
    assert set(made).isdisjoint([*material.transfer, *material.dev])
    assert make_texts(material, 150, 20, None, None, 0) == made[:20]
    assert make_texts(material, 150, 0, None, None, 0) == []
    assert make_texts(material, 50, None, None, None, 0) == []
    long = gather(TEACHER, [" ".join(reviews(20, seed)) for seed in range(20)], None, (["a text"], ["pos"]), 1000, 0)
    made = make_texts(long, 60, None, None, None, 0)
    assert 0 < len(made) < 40
    assert sum(len(text.split()) for text in made) <= 20 * 40
    assert make_texts(material, 150, None, [], None, 0) == []


def test_nothing_to_choose_by_is_refused():
    texts = ["a fine film", "a dull film", "a great plot", "a poor plot"]
    with pytest.raises(InvalidParameterError, match="fewer than 10 labelled texts and no others; got 4 labelled ones"):
        distill(TEACHER, labelled=(texts, labels_of(texts)), effort="small")


def test_targets_and_weights_of_a_recipe():
    pool = Pool(
        texts=["a", "b", "c"],
        P=np.array([[0.64, 0.36], [0.64, 0.36], [0.64, 0.36]], dtype=np.float32),
        kind=np.array([LABELLED, TRANSFER, MADE], dtype=np.int8),
        hard=np.array([[0.0, 1.0]]),
        dev_texts=["d"],
        dev=np.array([[1.0, 0.0]]),
        classes=np.array(["x", "y"]),
        multilabel=False,
    )
    recipe = first_recipes("small", multilabel=False, vectors=False, bits=10)[0]
    from dataclasses import replace

    recipe = replace(recipe, temperature=2.0, hard_weight=0.5, transfer_weight=0.3, made_weight=0.1)
    P, weights = pool.objective(recipe, np.arange(3))
    # sqrt(0.64) : sqrt(0.36) = 4 : 3
    np.testing.assert_allclose(P, [[2 / 7, 5 / 7], [4 / 7, 3 / 7], [4 / 7, 3 / 7]], rtol=1e-5)
    np.testing.assert_allclose(weights, [1.0, 0.3, 0.1])


def test_of_convolutions_that_dev_cannot_tell_apart_the_cheapest_is_taken():
    n = 400
    truth = np.eye(2)[np.arange(n) % 2]
    texts, kind = ["a"], np.array([LABELLED], dtype=np.int8)
    pool = Pool(texts, np.full((1, 2), 0.5, np.float32), kind, truth[:1], ["d"] * n, truth, np.array(["x", "y"]), False)
    first = first_recipes("small", multilabel=False, vectors=False, bits=10)[0]
    wide, middling, narrow = (Convolution(filters=filters) for filters in (64, 48, 32))

    def chosen(worse, apart, teacher=None):
        """Of three: narrower ones know less of so many texts, and of the others are by turns more and less sure."""
        judged = dataclasses.replace(pool, dev_teacher=teacher)
        search = Search(judged, "accuracy", None, threads=1, random_state=0)
        base, turns = np.where(np.arange(n) % 5 == 0, -1.5, 1.5), (-1.0) ** (np.arange(n) // 10)
        for size, convolution in enumerate((wide, middling, narrow)):
            logit = base + size * apart * turns
            logit[1 : 1 + 5 * size * worse : 5] = 0.0
            proba = 1.0 / (1.0 + np.exp(np.where(truth[:, 1] > 0, -logit, logit)))[:, None]
            recipe = dataclasses.replace(first, convolution=convolution)
            loss = calibrated(truth[:, 1:], proba, "sigmoid")
            search.trials.append(Trial(recipe, 1, 0.8, loss, 0.0, proba))
        return search.run_convolutions(first, (wide, middling, narrow)).recipe.convolution

    assert chosen(0, 0.0) == narrow
    assert chosen(4, 0.0) == wide
    assert chosen(0, 0.02) == narrow
    assert chosen(0, 0.6) == wide
    # A teacher that is sure of what the labels say, but where only the narrower ones doubt: there it says the contrary.
    teacher = truth.copy()
    teacher[1:42:5] = 1.0 - truth[1:42:5]
    assert chosen(4, 0.0, teacher) == narrow


def test_convolutions_are_judged_by_labels_and_teacher_together():
    truth, teacher = np.eye(2)[[0, 1]], np.array([[0.9, 0.1], [0.6, 0.4]])
    kind = np.array([LABELLED], dtype=np.int8)
    P = np.full((1, 2), 0.5, np.float32)
    pool = Pool(["a"], P, kind, truth[:1], ["d", "e"], truth, np.array(["x", "y"]), False, teacher)
    wanted, loss = pool.aims(np.array([[0.2], [0.8]]))
    assert loss == "sigmoid"
    np.testing.assert_allclose(wanted, [[0.7 * 0.1], [0.7 * 0.4 + 0.3]])
    several = dataclasses.replace(pool, multilabel=True)
    np.testing.assert_allclose(several.aims(teacher)[0], 0.7 * teacher + 0.3 * truth)
    assert dataclasses.replace(pool, dev_teacher=None).aims(np.array([[0.2], [0.8]]))[0].tolist() == [[0.0], [1.0]]


def test_samples_have_every_kind():
    kind = np.repeat(np.array([LABELLED, TRANSFER], dtype=np.int8), [100, 900])
    texts = [str(i) for i in range(1000)]
    pool = Pool(
        texts, np.full((1000, 2), 0.5, np.float32), kind, np.zeros((100, 2)), ["d"], np.eye(2)[:1], np.arange(2), False
    )
    rows = pool.sample(200, 0)
    assert len(rows) == 200
    assert np.all(np.diff(rows) > 0)
    assert (kind[rows] == LABELLED).sum() == 100
    assert len(pool.sample(5000, 0)) == 1000


def test_stochastic_steps_take_one_thread_so_that_threads_change_nothing():
    assert solving(15_000_000, 2, 4) == {"solver": "newton", "threads": 4}
    assert solving(15_000_001, 2, 4) == {"solver": "adagrad", "epochs": 10, "threads": 1}
    assert solving(5_000_001, 3, 4)["solver"] == "adagrad"


def test_efforts_grow():
    small, medium, large = (EFFORTS[name] for name in ("small", "medium", "large"))
    assert small.transfer < medium.transfer < large.transfer
    assert len(small.stages) < len(medium.stages) < len(large.stages)


@pytest.mark.parametrize("student", ["ngrams", "convolution", "auto"])
def test_a_size_that_nothing_fits_into_is_told_before_the_teacher_is_asked(student):
    def never(texts):
        raise AssertionError("the teacher was asked")

    teacher = open_teacher(never, classes=["neg", "pos"])
    with pytest.raises(InvalidParameterError, match="max_size=2,000 bytes is too small"):
        distill(teacher, reviews(30), student=student, max_size="2kB")
    with pytest.raises(AssertionError, match="the teacher was asked"):
        distill(teacher, reviews(30), student=student, max_size="60kB", augmentation=[])


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "texts or labelled must hold something to learn from"),
        ({"texts": ["a", "b"], "effort": "huge"}, "effort must be one of"),
        ({"texts": ["a", "b"], "augmentation": ["magic"]}, "augmentation must be one of"),
        ({"texts": ["a", "b"], "max_made": -1}, "max_made must be"),
        ({"texts": ["a", "b"], "augmentation": "drop_tokens"}, "augmentation must be a list of names"),
        ({"texts": ["a", "b"], "fixed": {"size": 1}}, "fixed must be one of"),
        ({"texts": ["a", "b"], "metric": "rouge"}, "metric must be one of"),
        ({"labelled": (["a"], ["neg", "pos"])}, "labelled must have as many labels as texts; got 2 and 1"),
        ({"labelled": (["a", "b"], ["neg", "meh"])}, "row 1 has 'meh'"),
        ({"texts": ["a"], "dev": ([], [])}, "dev must have at least one text"),
        ({"texts": ["a"], "dev": (["a"], ["neg"])}, "something that is not in dev"),
        ({"texts": ["a", 3]}, "3"),
    ],
)
def test_bad_input_is_refused_by_name(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        distill(TEACHER, **options)


# -- a teacher that was asked before ---------------------------------------------------------------------------------


def test_probabilities_that_are_known_already():
    texts = list(dict.fromkeys(reviews(500)))
    soft = SoftLabels(texts, ["neg", "pos"], teach(texts).astype(np.float32), False)
    labelled, dev = ["a fine film nobody asked about"], reviews(100, seed=7)
    result = distill(soft, labelled=(labelled, ["pos"]), dev=(dev, labels_of(dev)), effort="small")
    assert result.pool.counts() == {
        "labelled": 1,
        "transfer": len(set(texts) - set(dev)),
        "made": 0,
        "dev": 100,
    }
    assert result.pool.P[0].tolist() == [0.0, 1.0]
    assert result.teacher_score is None
    assert agreement(result.compiled, reviews(300, seed=8)) > 0.9


def test_texts_without_known_probabilities_are_refused():
    soft = SoftLabels(["a"], ["neg", "pos"], np.array([[0.5, 0.5]], dtype=np.float32), False)
    with pytest.raises(InvalidParameterError, match="those of file of probabilities; 'other' is not"):
        distill(soft, ["a", "other", "another"], dev=(["x"], ["pos"]), effort="small")
