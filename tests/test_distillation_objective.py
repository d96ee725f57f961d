"""What a student is fitted to, in literal numbers."""

import doctest

import numpy as np
import pytest

import tlclassic.distillation.objective
from tlclassic.distillation.objective import confidence_weights, correct_prior, estimate_prior, mix, targets
from tlclassic.errors import InvalidParameterError

# -- temperature -----------------------------------------------------------------------------------------------------


def test_a_temperature_takes_roots():
    # The roots of 0.64, 0.32 and 0.04 are 0.8, 0.5657 and 0.2.
    softened = targets([[0.64, 0.32, 0.04]], temperature=2.0)
    np.testing.assert_allclose(softened, [[0.51096, 0.36131, 0.12774]], atol=1e-5)
    np.testing.assert_allclose(targets([[0.6, 0.4]], temperature=0.5), [[0.36 / 0.52, 0.16 / 0.52]])


def test_what_is_impossible_stays_so():
    np.testing.assert_array_equal(targets([[1.0, 0.0]], temperature=5.0), [[1.0, 0.0]])
    np.testing.assert_array_equal(targets([[1.0, 0.0, 0.5]], temperature=3.0, multilabel=True)[0, :2], [1.0, 0.0])
    tiny = targets(np.array([[1.0, 1e-30]], dtype=np.float32), temperature=10.0)
    np.testing.assert_allclose(tiny, [[0.999, 0.000999]], atol=1e-6)


def test_labels_of_their_own_are_softened_by_themselves():
    # logit(0.9) = 2.1972; the sigmoid of its half is 0.75.
    np.testing.assert_allclose(targets([[0.9, 0.1, 0.5]], temperature=2.0, multilabel=True), [[0.75, 0.25, 0.5]])


def test_the_dtype_stays_and_the_input_too():
    P = np.array([[0.5, 0.5]], dtype=np.float32)
    assert targets(P, temperature=2.0).dtype == np.float32
    assert targets([[0.5, 0.5]]).dtype == np.float64
    targets(P)[0, 0] = 0.0
    assert P.tolist() == [[0.5, 0.5]]
    assert targets(np.empty((0, 3)), temperature=2.0).shape == (0, 3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), "hot"])
def test_a_temperature_that_is_none(temperature):
    with pytest.raises(InvalidParameterError, match="temperature must"):
        targets([[0.5, 0.5]], temperature=temperature)


def test_rows_that_are_no_probabilities():
    with pytest.raises(InvalidParameterError, match=r"rows of P must sum to 1 .*row 1 is \[0.9, 0.9\]"):
        targets([[0.5, 0.5], [0.9, 0.9]])
    with pytest.raises(InvalidParameterError, match="row 0"):
        targets([[float("nan"), 0.5]], multilabel=True)
    with pytest.raises(InvalidParameterError, match=r"shape \(n, C\); got shape \(2,\)"):
        targets([0.5, 0.5])


# -- hard labels -----------------------------------------------------------------------------------------------------


def test_labels_are_mixed_in_where_there_are_any():
    mixed = mix([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]], [1, -1, 1], 0.25)
    np.testing.assert_allclose(mixed, [[0.6, 0.4], [0.6, 0.4], [0.075, 0.925]])
    np.testing.assert_array_equal(mix([[0.8, 0.2]], [0], 0.0), [[0.8, 0.2]])
    np.testing.assert_array_equal(mix([[0.8, 0.2]], [1], 1.0), [[0.0, 1.0]])


def test_several_labels_are_mixed_in_by_indicators():
    P, nan = [[0.8, 0.2], [0.6, 0.6]], float("nan")
    np.testing.assert_allclose(mix(P, [[1, 1], [nan, nan]], 0.5, multilabel=True), [[0.9, 0.6], [0.6, 0.6]])
    with pytest.raises(InvalidParameterError, match=r"hard must be an indicator matrix of shape \(2, 2\)"):
        mix(P, [1, 0], 0.5, multilabel=True)


def test_hard_labels_that_do_not_fit():
    with pytest.raises(InvalidParameterError, match=r"columns from 0 to 1, or -1; got 0 to 2"):
        mix([[0.8, 0.2], [0.5, 0.5]], [0, 2], 0.5)
    with pytest.raises(InvalidParameterError, match=r"hard must be columns of shape \(1,\)"):
        mix([[0.8, 0.2]], ["pos"], 0.5)
    with pytest.raises(InvalidParameterError, match="weight must be at most 1"):
        mix([[0.8, 0.2]], [0], 1.5)


# -- weights ---------------------------------------------------------------------------------------------------------


def test_sure_rows_weigh_more():
    # The entropy of (0.9, 0.1) is 0.4690 bits: 0.5310 is left.
    P = [[1.0, 0.0], [0.9, 0.1], [0.5, 0.5]]
    weights = confidence_weights(P, 1.0)
    np.testing.assert_allclose(weights, np.array([1.0, 0.5310, 0.0]) / 0.51033, atol=1e-4)
    assert weights.mean() == pytest.approx(1.0)
    squared = confidence_weights(P, 2.0)
    assert squared[1] / squared[0] == pytest.approx(0.5310**2, abs=1e-4)


def test_weights_that_say_nothing():
    assert confidence_weights([[0.9, 0.1], [0.5, 0.5]], 0.0).tolist() == [1.0, 1.0]
    assert confidence_weights([[1 / 3] * 3] * 2, 2.0).tolist() == [1.0, 1.0]
    assert confidence_weights(np.empty((0, 2)), 1.0).tolist() == []
    with pytest.raises(InvalidParameterError, match="power must be at least 0"):
        confidence_weights([[0.5, 0.5]], -1)


def test_weights_of_several_labels():
    weights = confidence_weights([[1.0, 0.0], [0.5, 1.0], [0.5, 0.5]], 1.0, multilabel=True)
    np.testing.assert_allclose(weights, [2.0, 1.0, 0.0])


# -- prior -----------------------------------------------------------------------------------------------------------


def test_a_prior_is_corrected_by_hand():
    # 0.6 * 0.2 / 0.5 = 0.24 against 0.4 * 0.8 / 0.5 = 0.64.
    corrected = correct_prior([[0.6, 0.4]], [0.5, 0.5], [0.2, 0.8])
    np.testing.assert_allclose(corrected, [[0.24 / 0.88, 0.64 / 0.88]])
    back = correct_prior(corrected, [0.2, 0.8], [0.5, 0.5])
    np.testing.assert_allclose(back, [[0.6, 0.4]])


def test_a_prior_of_several_labels():
    # Odds of 0.5 are 1; times (0.9 / 0.1) / (0.5 / 0.5) = 9.
    corrected = correct_prior([[0.5, 0.5]], [0.5, 0.5], [0.9, 0.5], multilabel=True)
    np.testing.assert_allclose(corrected, [[0.9, 0.5]])


def test_the_prior_is_found_again():
    # One feature, normal around 0 or 2: the posterior at equal shares is a sigmoid of 2x - 2.
    rng = np.random.default_rng(0)
    is_second = rng.random(20_000) < 0.8
    x = rng.normal(2.0 * is_second, 1.0)
    second = 1.0 / (1.0 + np.exp(2.0 - 2.0 * x))
    P = np.column_stack([1.0 - second, second])
    assert P[:, 1].mean() < 0.75
    np.testing.assert_allclose(estimate_prior(P, [0.5, 0.5]), [0.2, 0.8], atol=0.01)
    np.testing.assert_allclose(correct_prior(P, [0.5, 0.5]).mean(axis=0), [0.2, 0.8], atol=0.01)
    found = estimate_prior(P[:, 1:], [0.5], multilabel=True)
    np.testing.assert_allclose(found, [0.8], atol=0.01)


def test_one_step_of_the_estimation_by_hand():
    # After one step: the mean of P itself, for the shares start at those of the training data.
    P = [[0.9, 0.1], [0.7, 0.3]]
    np.testing.assert_allclose(estimate_prior(P, [0.5, 0.5], max_iter=1), [0.8, 0.2])
    # Second: 0.9*0.8/(0.9*0.8+0.1*0.2) = 0.97297 and 0.7*0.8/(0.7*0.8+0.3*0.2) = 0.90323.
    np.testing.assert_allclose(estimate_prior(P, [0.5, 0.5], max_iter=2)[0], 0.93810, atol=1e-5)


def test_priors_that_do_not_fit():
    with pytest.raises(InvalidParameterError, match="prior_from must be above 0, and sum to 1"):
        correct_prior([[0.5, 0.5]], [1.0, 0.0], [0.5, 0.5])
    with pytest.raises(InvalidParameterError, match="prior_to must have a share for each of 2 classes"):
        correct_prior([[0.5, 0.5]], [0.5, 0.5], [1.0])
    with pytest.raises(InvalidParameterError, match="prior_to must leave every row of P a class; row 1"):
        correct_prior([[0.5, 0.5], [1.0, 0.0]], [0.5, 0.5], [0.0, 1.0])


def test_the_docstrings():
    result = doctest.testmod(tlclassic.distillation.objective)
    assert (result.attempted >= 4, result.failed) == (True, 0)
