"""States of an encoder in a tagger: what they are projected to, and how that comes back into the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tlclassic
from tlclassic import TokenTagger
from tlclassic.errors import InvalidParameterError
from tlclassic.tagging.projection import SCALE, fit_projection


def _table():
    """Of 5 columns: three numbers mixed, at very different sizes and far from nought, and a constant."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((400, 2))
    return np.column_stack([hidden[:, 0], 50 * hidden[:, 0], hidden[:, 1] + 7, 0.01 * hidden[:, 1], np.ones(400)])


def test_projected_states_are_centred_and_of_one_scale():
    states = _table().astype(np.float32)
    for dims, width in ((2, 2), (None, 5), (9, 5)):
        found = fit_projection(states, dims).apply(states)
        assert found.shape == (400, width)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
        assert np.sqrt(np.square(found).mean()) == pytest.approx(SCALE, rel=1e-3)


def test_two_components_hold_what_four_columns_say():
    states = _table().astype(np.float32)
    found = fit_projection(states, 2).apply(states)
    rest = np.linalg.lstsq(found, states[:, :4] - states[:, :4].mean(axis=0), rcond=None)[0]
    np.testing.assert_allclose(found @ rest, states[:, :4] - states[:, :4].mean(axis=0), atol=2e-3)
    assert fit_projection(np.zeros((3, 0), np.float32), 2) is None
    assert (fit_projection(np.ones((3, 2), np.float32), 2).apply(np.ones((3, 2), np.float32)) == 0).all()


COLOURS = {"red": 0.0, "pink": 0.2, "blue": 3.0, "navy": 3.2}


def _states(sentences):
    """What tells the colours apart is one of three columns, beside one a thousand times as large."""
    return [np.array([[COLOURS.get(w, 1.5), 1000.0, 1000.0 + len(w)] for w in sentence]) for sentence in sentences]


SENTENCES = [["red", "blue"], ["blue", "red"], ["red"], ["blue"]] * 4
TAGS = [["A", "B"], ["B", "A"], ["A"], ["B"]] * 4
ALONE = {"vectors": None, "window": 0, "affixes": False, "pairs": False, "min_count": 99}


@pytest.mark.parametrize("state_dims", [1, 2, None])
def test_weights_are_those_of_the_states_themselves(tmp_path, state_dims):
    tagger = TokenTagger(**ALONE, states=_states, state_dims=state_dims).fit(SENTENCES, TAGS)
    assert tagger.model_.states.shape == (3, 2)
    assert tagger.model_.width == 3
    assert tagger.predict([["pink", "navy"]]) == [["A", "B"]]
    tagger.save(tmp_path / "full.tlc")
    again = TokenTagger.load(tmp_path / "full.tlc", states=_states)
    assert again.state_dims == state_dims
    assert again.predict([["navy", "pink"]]) == [["B", "A"]]
    tagger.compile().save(tmp_path / "small.tlc")
    small = tlclassic.load(tmp_path / "small.tlc")
    small.states = _states
    assert small.predict([["navy", "pink"]]) == [["B", "A"]]


def test_labels_are_told_beside_projected_states():
    targets = {"tags": TAGS, "first": [tags[0] for tags in TAGS], "any": [{tags[-1]} for tags in TAGS]}
    tagger = TokenTagger(**ALONE, states=_states, state_dims=1).fit(SENTENCES, targets)
    assert tagger.model_.told == 4
    assert tagger.model_.states.shape == (7, 6)
    assert tagger.predict([["pink", "navy"], ["navy"]])["tags"] == [["A", "B"], ["B"]]


def test_a_folded_model_scores_as_the_projected_one():
    states = _states(SENTENCES)
    flat = np.concatenate(states).astype(np.float32)
    tagger = TokenTagger(**ALONE, states=_states, state_dims=2).fit(SENTENCES, TAGS)
    model, projection = tagger.model_, fit_projection(flat, 2)
    rng = np.random.default_rng(1)
    small = replace(model, states=rng.standard_normal((2, 2)).astype(np.float32))
    folded = projection.folded(small)
    scores = projection.apply(flat) @ small.states + small.bias
    np.testing.assert_allclose(flat @ folded.states + folded.bias, scores, atol=0.02)


@pytest.mark.parametrize("value", [0, 1.5, "all"])
def test_state_dims_are_checked(value):
    with pytest.raises(InvalidParameterError, match="state_dims must be"):
        TokenTagger(vectors=None, state_dims=value).fit([["a"]], [["O"]])
