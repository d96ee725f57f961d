"""Taggers: schemes, scores, fitting, several tasks, saving, compiling, refusals."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

import tlclassic
from tlclassic import TokenTagger, WordVectors
from tlclassic.errors import ArtifactVersionError, CorruptArtifactError, InvalidParameterError, RepairWarning
from tlclassic.storage import Artifact, ArtifactWriter
from tlclassic.tagging import (
    CompiledTagger,
    EncoderStates,
    detect_scheme,
    entities,
    entity_scores,
    repair,
    to_bilou,
    to_iob2,
    token_accuracy,
)
from tlclassic.tagging.schemes import allowed

NAMES, PLACES = ["Anna", "Ben", "Clara", "David"], ["Berlin", "Paris", "New York", "Rome"]


def _data(n=40):
    """Sentences of two kinds, with entities, parts of speech, an intent and topics."""
    rng = np.random.default_rng(0)
    sentences, ner, pos, intent, topics = [], [], [], [], []
    for _ in range(n):
        name, place = rng.choice(NAMES), rng.choice(PLACES).split()
        tags = ["B-LOC", "I-LOC"][: len(place)]
        if rng.random() < 0.5:
            sentences.append([str(name), "flew", "to", *place])
            ner.append(["B-PER", "O", "O", *tags])
            pos.append([1, 2, 3, *[1] * len(place)])
            intent.append(True)
        else:
            sentences.append([*place, "is", "hot"])
            ner.append([*tags, "O", "O"])
            pos.append([*[1] * len(place), 2, 4])
            intent.append(False)
        topics.append({"travel"} if intent[-1] else {"weather", "heat"})
    return sentences, {"ner": ner, "pos": pos, "intent": intent, "topics": topics}


@pytest.fixture(scope="module")
def fitted():
    sentences, targets = _data()
    return TokenTagger(vectors=None, epochs=5).fit(sentences, targets)


NEW = [["Zoe", "flew", "to", "New", "York"], ["Paris", "is", "hot"]]


def test_several_tasks_keep_the_types_of_their_labels(fitted):
    assert fitted.predict(NEW) == {
        "ner": [["B-PER", "O", "O", "B-LOC", "I-LOC"], ["B-LOC", "O", "O"]],
        "pos": [[1, 2, 3, 1, 1], [1, 2, 4]],
        "intent": [True, False],
        "topics": [["travel"], ["heat", "weather"]],
    }
    assert [task.kind for task in fitted.tasks_] == ["tags", "tags", "label", "labels"]


def test_scores(fitted):
    sentences, targets = _data(20)
    assert fitted.score(sentences, targets) == 1.0
    found = fitted.evaluate(sentences, {"ner": targets["ner"], "intent": [None, *targets["intent"][1:]]})
    assert found["ner"]["metric"] == "entity_f1"
    assert found["intent"] == {"score": 1.0, "metric": "accuracy", "accuracy": 1.0, "n_sentences": 19}
    wrong = [["O"] * len(sentence) for sentence in sentences]
    assert fitted.evaluate(sentences, {"ner": wrong})["ner"]["score"] == 0.0


def test_probabilities_of_labels(fitted):
    proba = fitted.predict_proba(NEW, "intent")
    assert proba.shape == (2, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert proba.argmax(axis=1).tolist() == [1, 0]
    assert (fitted.predict_proba(NEW, "topics") > 0.5).tolist() == [[False, True, False], [True, False, True]]
    with pytest.raises(InvalidParameterError, match="task must be one of the tasks of labels"):
        fitted.predict_proba(NEW, "ner")


@pytest.mark.parametrize("algorithm", ["crf", "perceptron"])
@pytest.mark.parametrize("bilou", [True, False])
def test_one_task_learns(algorithm, bilou):
    sentences, targets = _data()
    tagger = TokenTagger(vectors=None, algorithm=algorithm, bilou=bilou, epochs=5, char_ngrams=(2, 3))
    tagger.fit(sentences, targets["ner"])
    assert tagger.predict(NEW) == [["B-PER", "O", "O", "B-LOC", "I-LOC"], ["B-LOC", "O", "O"]]
    assert tagger.predict([]) == []
    assert tagger.predict([[]]) == [[]]


@given(st.lists(st.lists(st.sampled_from(["Anna", "New", "York", "is", "?", "to", "Rome"]), max_size=7), max_size=4))
def test_predictions_are_legal_and_do_not_depend_on_the_others(fitted, sentences):
    tags = fitted.predict(sentences)["ner"]
    assert [repair(one, "iob2")[1] for one in tags] == [0] * len(sentences)
    assert tags == [fitted.predict([sentence])["ner"][0] for sentence in sentences]


def test_tokens_may_come_as_numpy_arrays():
    sentences = [np.array(["Anna", "sleeps"]), np.array(["Ben", "walks"])]
    tags = [np.array(["B-PER", "O"])] * 2
    tagger = TokenTagger(vectors=None, epochs=2).fit(sentences, tags)
    assert tagger.compile().predict(sentences) == [["B-PER", "O"], ["B-PER", "O"]]


def test_the_same_seed_gives_the_same_tagger(fitted):
    sentences, targets = _data()
    again = clone(fitted).fit(sentences, targets)
    np.testing.assert_array_equal(again.model_.table, fitted.model_.table)
    other = clone(fitted).set_params(random_state=1).fit(sentences, targets)
    assert (other.model_.bias != fitted.model_.bias).any()


def test_tasks_of_tags_together_are_those_alone():
    sentences, targets = _data(20)
    both = TokenTagger(vectors=None, epochs=3).fit(sentences, {"ner": targets["ner"], "pos": targets["pos"]})
    alone = [TokenTagger(vectors=None, epochs=3).fit(sentences, targets[name]).model_ for name in ("ner", "pos")]
    np.testing.assert_array_equal(both.model_.table, np.hstack([model.table for model in alone]))
    np.testing.assert_array_equal(both.model_.links, np.concatenate([model.links for model in alone]))


def test_missing_targets_are_left_out():
    sentences, targets = _data(12)
    ner = [*targets["ner"][:6], *[None] * 6]
    intent = [*[None] * 6, *targets["intent"][6:]]
    tagger = TokenTagger(vectors=None, epochs=5).fit(sentences, {"ner": ner, "intent": intent})
    alone = TokenTagger(vectors=None, epochs=5).fit(sentences[:6], ner[:6])
    assert tagger.tasks_[0].classes == alone.tasks_[0].classes
    assert tagger.predict(sentences)["intent"] == targets["intent"]


def test_word_vectors_carry_over_to_unseen_words():
    words = ["berlin", "paris", "rome", "oslo", "anna", "ben", "clara", "david"]
    table = np.repeat(np.eye(2, dtype=np.float32), 4, axis=0) + 0.01 * np.arange(16, dtype=np.float32).reshape(8, 2)
    vectors = WordVectors.from_arrays(words, table)
    sentences = [[word] for word in words if word not in ("oslo", "david")]
    tags = [["B-LOC"] if sentence[0] in words[:4] else ["B-PER"] for sentence in sentences]
    plain = {"affixes": False, "dropout": 0.0, "window": 1}
    for options in ({"classes": (2,)}, {"classes": (), "reach": 0}):
        tagger = TokenTagger(vectors=vectors, **plain, **options).fit(sentences, tags)
        assert tagger.predict([["oslo"], ["David"]]) == [["B-LOC"], ["B-PER"]]
        assert tagger.compile(prune=0).predict([["oslo"], ["David"]]) == [["B-LOC"], ["B-PER"]]


def test_states_are_features(tmp_path):
    def states(sentences):
        return [np.array([[float(word == "red")] for word in sentence]) for sentence in sentences]

    sentences, tags = [["red", "blue"], ["blue", "red"]] * 4, [["A", "B"], ["B", "A"]] * 4
    tagger = TokenTagger(vectors=None, window=0, affixes=False, pairs=False, min_count=99, states=states)
    tagger.fit(sentences, tags)
    assert tagger.model_.n_features == 0
    assert tagger.predict([["red", "blue"]]) == [["A", "B"]]
    tagger.save(tmp_path / "model.tlc")
    with pytest.raises(InvalidParameterError, match="states must be given: the tagger was fitted with 1 numbers"):
        TokenTagger.load(tmp_path / "model.tlc").predict([["red"]])
    assert TokenTagger.load(tmp_path / "model.tlc", states=states).predict([["blue"]]) == [["B"]]
    with pytest.raises(InvalidParameterError, match=r"states\[0\] must have a row for each of 2 tokens"):
        TokenTagger(vectors=None, states=lambda s: [np.zeros((1, 1))] * len(s)).fit(sentences, tags)


def test_states_of_an_encoder_are_means_over_pieces():
    class Encoder:
        def token_states(self, texts):
            assert texts == ["playing on"]
            yield np.array([[1.0], [3.0], [5.0]], np.float32), np.array([[0, 4], [4, 7], [8, 10]])

    assert EncoderStates(Encoder())([["playing", "on"]])[0].tolist() == [[2.0], [5.0]]


# --- chains ----------------------------------------------------------------------------------------------------------


def _depends_on_the_label(n):
    """Sentences whose first word tells the label, and whose last word's tag follows from that alone."""
    rng = np.random.default_rng(3)
    firsts = rng.choice(["play", "rate"], n).tolist()
    sentences = [[first, *["please"] * 4, "it"] for first in firsts]
    tags = [["O"] * 5 + ["B-SONG" if first == "play" else "B-BOOK"] for first in firsts]
    return sentences, {"slots": tags, "intent": [first == "play" for first in firsts]}


def test_labels_are_told_to_the_tags(tmp_path):
    sentences, targets = _depends_on_the_label(60)
    told = TokenTagger(vectors=None, epochs=5).fit(sentences, targets)
    apart = TokenTagger(vectors=None, epochs=5, chain=False).fit(sentences, targets)
    new, truth = [["play", *["please"] * 4, "it"], ["rate", *["please"] * 4, "it"]], ["B-SONG", "B-BOOK"]
    assert [tags[-1] for tags in told.predict(new)["slots"]] == truth
    assert [tags[-1] for tags in apart.predict(new)["slots"]] != truth
    assert told.model_.told == 2
    assert apart.model_.told == 0
    np.testing.assert_array_equal(told.predict_proba(new, "intent"), apart.predict_proba(new, "intent"))
    told.compile().save(tmp_path / "told.tlc")
    assert [tags[-1] for tags in tlclassic.load(tmp_path / "told.tlc").predict(new)["slots"]] == truth


@pytest.mark.parametrize("names", [["intent", "slots"], ["slots", "intent", "topics"]])
def test_a_chain_keeps_the_order_of_the_tasks_and_takes_missing_labels(names):
    sentences, targets = _depends_on_the_label(60)
    targets["topics"] = [{"x"} if label else {"y"} for label in targets["intent"]]
    targets["intent"] = [label if place % 4 else None for place, label in enumerate(targets["intent"])]
    tagger = TokenTagger(vectors=None, epochs=5).fit(sentences, {name: targets[name] for name in names})
    assert [task.name for task in tagger.tasks_] == names
    found = tagger.predict([["rate", *["please"] * 4, "it"]])
    wanted = {"slots": [[*["O"] * 5, "B-BOOK"]], "intent": [False], "topics": [["y"]]}
    assert found == {name: wanted[name] for name in names}


def test_a_chain_takes_states_and_vectors_beside_the_labels():
    sentences, targets = _depends_on_the_label(40)
    vectors = WordVectors.from_arrays(["play", "rate", "it"], np.eye(3, dtype=np.float32))

    def states(of):
        return [np.ones((len(sentence), 3)) for sentence in of]

    tagger = TokenTagger(vectors=vectors, classes=(2,), reach=1, states=states, epochs=3).fit(sentences, targets)
    assert tagger.model_.states.shape == (5, len(tagger.tasks_[0].classes) + 2)
    assert tagger.evaluate(sentences, targets)["slots"]["score"] == 1.0
    assert tagger.predict([]) == {"slots": [], "intent": []}


# --- files -----------------------------------------------------------------------------------------------------------


def test_saved_and_compiled_taggers_predict_the_same(fitted, tmp_path):
    sentences, _ = _data(30)
    fitted.save(tmp_path / "full.tlc")
    again = TokenTagger.load(tmp_path / "full.tlc")
    assert again.predict(sentences) == fitted.predict(sentences)
    assert again.get_params() == fitted.get_params()
    compiled = again.compile()
    compiled.save(tmp_path / "small.tlc")
    opened = tlclassic.load(tmp_path / "small.tlc")
    assert type(opened) is CompiledTagger
    assert opened.predict(sentences) == fitted.predict(sentences)
    assert (tmp_path / "small.tlc").stat().st_size < (tmp_path / "full.tlc").stat().st_size / 1.8
    assert opened.model_.n_features <= fitted.model_.n_features
    with pytest.raises(InvalidParameterError, match="holds a compiled tagger"):
        TokenTagger.load(tmp_path / "small.tlc")


def test_a_compiled_tagger_needs_numpy_alone(fitted, tmp_path):
    fitted.compile().save(tmp_path / "small.tlc")
    code = f"import tlclassic, sys; print(tlclassic.load({str(tmp_path / 'small.tlc')!r}).predict([['hot']])['pos'])\n"
    code += "assert not {'sklearn', 'scipy', 'spacy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() in {"[[1]]", "[[2]]", "[[3]]", "[[4]]"}


def _rewritten(source, path, change):
    artifact = Artifact(source)
    metadata, arrays = dict(artifact.metadata), {name: artifact.array(name) for name in artifact.names}
    change(metadata, arrays)
    with ArtifactWriter(path, kind=artifact.kind) as writer:
        writer.metadata.update(metadata)
        for name, array in arrays.items():
            writer.add(name, array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, a: m["settings"].update(window=99), "window, reach and radius do not fit"),
        (lambda m, a: m["settings"].update(pairs=[[99, 0, 0, 0]]), "a pair of features is out of range"),
        (lambda m, a: m["tasks"][0].update(classes=["O"]), "has shape"),
        (lambda m, a: m["tasks"][0].update(kind="odd"), "unknown kind"),
        (lambda m, a: m.update(tasks=[]), "do not fit the tasks"),
        (lambda m, a: m.update(told=1), "told does not fit the tasks"),
        (lambda m, a: a.update(states=a["states"][:2]), "'states' lacks what is told"),
        (lambda m, a: a.update(slots=np.ones_like(a["slots"])), "'slots' has no empty slot"),
        (lambda m, a: a.update(table=a["table"][:-1]), "'table' has shape"),
        (lambda m, a: a.update(bias=a["bias"] * np.float32("nan")), "must be numbers"),
        (lambda m, a: a.pop("links"), "'links' is missing"),
        (lambda m, a: a.update(links=a["links"].astype(np.float64)), "'links' has type float64"),
    ],
)
def test_a_damaged_file_is_refused(fitted, tmp_path, change, message):
    fitted.save(tmp_path / "good.tlc")
    _rewritten(tmp_path / "good.tlc", tmp_path / "bad.tlc", change)
    with pytest.raises(CorruptArtifactError, match=re.escape(message)):
        CompiledTagger.load(tmp_path / "bad.tlc")


def test_a_newer_file_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "good.tlc")
    _rewritten(tmp_path / "good.tlc", tmp_path / "new.tlc", lambda m, a: m.update(format=3))
    with pytest.raises(ArtifactVersionError, match="format is 3"):
        tlclassic.load(tmp_path / "new.tlc")


def test_a_file_of_format_1_is_read(tmp_path):
    sentences, targets = _data(12)
    tagger = TokenTagger(vectors=None, epochs=2, chain=False).fit(sentences, targets)
    tagger.save(tmp_path / "new.tlc")

    def older(metadata, arrays):
        metadata["format"] = 1
        del metadata["told"]

    _rewritten(tmp_path / "new.tlc", tmp_path / "old.tlc", older)
    assert tlclassic.load(tmp_path / "old.tlc").predict(sentences) == tagger.predict(sentences)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentences", "tags", "message"),
    [
        ("a b", [["O"]], "sentences must be a list of lists of tokens; got str"),
        (["a b"], [["O"]], "sentences[0] must be a list of tokens; got 'a b'"),
        ([["a", 3]], [["O", "O"]], "a token must be a string; got 3 of type int"),
        ([[]], [[]], "sentences must hold at least one token"),
        ([["a"]], [["O", "O"]], "tags[0] must hold a tag for each of the 1 tokens; got 2"),
        ([["a"]], [["O"], ["O"]], "tags must hold an item for each of the 1 sentences; got 2"),
        ([["a"]], {}, "tags must name at least one task"),
        ([["a"]], [None], "all are None"),
        ([["a"], ["b"]], [["x"], [1]], "tags must have labels of one type; got int, str"),
        ([["a"]], [[1.5]], "tags[0] must be of type str, int or bool; got 1.5"),
        ([["a"], ["b"]], [["x"], "y"], "got a mixture"),
    ],
)
def test_wrong_input_is_named(sentences, tags, message):
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        TokenTagger(vectors=None).fit(sentences, tags)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "svm"}, "algorithm must be one of"),
        ({"window": -1}, "window must be at least 0"),
        ({"dropout": 1.0}, "dropout must be at most 0.95"),
        ({"states": "folder"}, "states must be callable"),
        ({"char_ngrams": (3, 2)}, r"char_ngrams\[1\] must be at least 3"),
        ({"scheme": "iob9"}, "scheme must be one of"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        TokenTagger(vectors=None, **options).fit([["a"]], [["O"]])


# --- schemes and scores ----------------------------------------------------------------------------------------------


def test_schemes_are_told():
    assert detect_scheme({"O", "B-A", "I-A"}) == "iob2"
    assert detect_scheme({"O", "B-A", "L-A"}) == "bilou"
    assert detect_scheme({"O"}) == detect_scheme({"NOUN", "X"}) == detect_scheme({"X-A", "O"}) == "none"
    assert detect_scheme({1, 2}) == "none"


def test_what_may_follow_what():
    table = allowed(["B-A", "I-A", "L-A", "U-A", "O", "L-B"], "bilou")
    assert table.astype(int).tolist() == [
        [0, 1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [1, 0, 0, 1, 1, 0],
        [1, 0, 0, 1, 1, 0],
        [1, 0, 0, 1, 1, 0],
        [1, 0, 0, 1, 1, 0],
        [1, 0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1, 1],
    ]
    assert allowed(["a", "b"], "none").all()


tag_lists = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=8)


@given(tag_lists)
def test_repaired_tags_are_legal_and_have_the_same_entities(tags):
    fixed, changed = repair(tags, "iob2")
    assert entities(fixed) == entities(tags)
    assert (changed == 0) == (fixed == tags)
    table, names = allowed(sorted({*fixed, "O"}), "iob2"), sorted({*fixed, "O"})
    before = len(names)
    for tag in fixed:
        assert table[before, names.index(tag)]
        before = names.index(tag)
    assert to_iob2(to_bilou(fixed)) == fixed
    assert entities(to_bilou(fixed)) == entities(fixed)
    assert repair(to_bilou(fixed), "bilou")[1] == 0


def test_illegal_tags_are_repaired_with_a_warning():
    with pytest.warns(
        RepairWarning, match="tags: 2 tags that iob2 does not allow were repaired \\(the first in sentence 1"
    ):
        tagger = TokenTagger(vectors=None).fit([["a"], ["b", "c"], ["d"]], [["B-X"], ["I-X", "I-Y"], ["O"]])
    assert tagger.predict([["b"]]) == [["B-X"]]


def test_entity_scores():
    found = entity_scores([["B-A", "I-A", "O", "B-B"], ["B-B", "O"]], [["B-A", "I-A", "O", "B-A"], ["B-B", "B-B"]])
    assert (found.precision, found.recall, found.support) == (0.5, 2 / 3, 3)
    assert found.f1 == pytest.approx(4 / 7)
    assert found.types["A"].recall == 1.0
    assert found.types["B"].precision == 0.5
    assert found.macro_f1 == pytest.approx((2 / 3 + 0.5) / 2)
    assert entity_scores([], []).f1 == 0.0
    assert token_accuracy([["a", "b"]], [["a", "c"]]) == 0.5
    with pytest.raises(InvalidParameterError, match=r"predicted\[0\] must hold 2 tags"):
        token_accuracy([["a", "b"]], [["a"]])


@given(st.lists(st.tuples(tag_lists, tag_lists), min_size=1, max_size=4))
def test_scores_equal_seqeval(pairs):
    seqeval = pytest.importorskip("seqeval.metrics")
    pairs = [(a[: len(b)], b[: len(a)]) for a, b in pairs]
    truth, predicted = [list(part) for part in zip(*pairs, strict=True)]
    ours = entity_scores(truth, predicted)
    assert ours.f1 == pytest.approx(seqeval.f1_score(truth, predicted, zero_division=0))
    assert ours.precision == pytest.approx(seqeval.precision_score(truth, predicted, zero_division=0))
    assert ours.recall == pytest.approx(seqeval.recall_score(truth, predicted, zero_division=0))
