"""The checks that scikit-learn runs on estimators of arrays, for estimators of texts.

``CHECKS`` are functions of an estimator (not fitted) and a list of training texts. Use::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_text_estimator(check):
        check(MyVectorizer(), TEXTS)
"""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

CHECKS = []


def _check(function):
    CHECKS.append(function)
    return function


def _same_params(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value is right[name] or value == right[name], name


def _bits(x):
    x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
    return x.dtype, x.shape, x.tobytes()


@_check
def clones_exactly(estimator, texts):
    _same_params(clone(estimator).get_params(), estimator.get_params())
    fitted = clone(estimator).fit(texts)
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(fitted))
    assert _bits(clone(fitted).fit(texts).transform(texts)) == _bits(fitted.transform(texts))


@_check
def constructor_only_stores(estimator, texts):
    params = estimator.get_params(deep=False)
    assert set(vars(type(estimator)(**params))) == set(params)


@_check
def set_params_is_the_constructor(estimator, texts):
    params = estimator.get_params(deep=False)
    other = clone(estimator).set_params(**params)
    _same_params(other.get_params(), params)
    with pytest.raises(ValueError, match="Invalid parameter 'no_such_parameter'"):
        other.set_params(no_such_parameter=1)


@_check
def refuses_to_transform_before_fit(estimator, texts):
    with pytest.raises(NotFittedError):
        clone(estimator).transform(texts)


@_check
def fit_changes_no_parameter_and_returns_self(estimator, texts):
    estimator = clone(estimator)
    before = {name: copy.deepcopy(value) for name, value in estimator.get_params().items()}
    assert estimator.fit(texts) is estimator
    _same_params(before, estimator.get_params())


@_check
def fit_is_idempotent(estimator, texts):
    estimator = clone(estimator).fit(texts[: len(texts) // 2])
    again = estimator.fit(texts).transform(texts)
    assert _bits(again) == _bits(clone(estimator).fit(texts).transform(texts))


@_check
def fit_transform_is_fit_then_transform(estimator, texts):
    assert _bits(clone(estimator).fit_transform(texts)) == _bits(clone(estimator).fit(texts).transform(texts))


@_check
def transform_changes_nothing(estimator, texts):
    estimator = clone(estimator).fit(texts)
    first, attributes = estimator.transform(texts), set(vars(estimator))
    given = list(texts)
    assert _bits(estimator.transform(given)) == _bits(first)
    assert given == list(texts)
    assert set(vars(estimator)) == attributes


@_check
def one_text_is_a_batch(estimator, texts):
    estimator = clone(estimator).fit(texts)
    batch = estimator.transform(texts)
    for position, text in enumerate(texts):
        assert _bits(estimator.transform([text])) == _bits(batch[position : position + 1])


@_check
def order_does_not_matter(estimator, texts):
    estimator = clone(estimator).fit(texts)
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = estimator.transform([texts[i] for i in order])
    assert _bits(shuffled) == _bits(estimator.transform(texts)[order])


@_check
def names_its_features(estimator, texts):
    estimator = clone(estimator).fit(texts)
    names = estimator.get_feature_names_out()
    assert len(names) == estimator.transform(texts).shape[1]
    assert len(set(names)) == len(names)
    assert names.dtype == object


@_check
def takes_every_list_of_texts(estimator, texts):
    estimator = clone(estimator).fit(texts)
    expected = _bits(estimator.transform(texts))
    for other in (
        tuple(texts),
        np.array(texts, dtype=object),
        np.array(texts),
        pd.Series(texts),
        pd.Series(texts, dtype="string"),
        pd.Series(texts, index=range(100, 100 + len(texts))),
    ):
        assert _bits(estimator.transform(other)) == expected
        assert _bits(clone(estimator).fit(other).transform(texts)) == expected


@_check
def refuses_what_is_not_a_list_of_texts(estimator, texts):
    estimator = clone(estimator).fit(texts)
    for use in (estimator.transform, clone(estimator).fit, clone(estimator).fit_transform):
        with pytest.raises(ValueError, match="single string"):
            use(texts[0])
        with pytest.raises(ValueError, match=r"X\[1\] must be a string; got 5"):
            use([texts[0], 5])
        with pytest.raises(ValueError, match=r"X\[1\] must be a string; got None"):
            use([texts[0], None])
        with pytest.raises(ValueError, match="one-dimensional"):
            use(np.array([texts[:1]], dtype=object))
        with pytest.raises(ValueError, match="must be a list of texts; got int"):
            use(7)


@_check
def transforms_an_empty_list(estimator, texts):
    estimator = clone(estimator).fit(texts)
    assert estimator.transform([]).shape == (0, estimator.transform(texts).shape[1])


@_check
def refuses_to_fit_on_nothing(estimator, texts):
    with pytest.raises(ValueError, match="at least one text"):
        clone(estimator).fit([])


@_check
def tells_that_it_takes_strings(estimator, texts):
    tags = estimator.__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array


@_check
def sets_its_output(estimator, texts):
    frame = (
        clone(estimator).set_output(transform="pandas").fit_transform(pd.Series(texts, index=range(5, 5 + len(texts))))
    )
    assert list(frame.index) == list(range(5, 5 + len(texts)))
    plain = clone(estimator).fit(texts)
    assert list(frame.columns) == list(plain.get_feature_names_out())
    np.testing.assert_array_equal(frame.to_numpy(), plain.transform(texts))


@_check
def survives_its_state(estimator, texts):
    estimator = clone(estimator).fit(texts)
    metadata, arrays = estimator.to_state()
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    restored = type(estimator).from_state(json.loads(json.dumps(metadata, allow_nan=False)), arrays)
    assert _bits(restored.transform(texts)) == _bits(estimator.transform(texts))
    left, right = restored.get_params(), estimator.get_params()
    for name in left.keys() | right.keys():
        assert left[name] == right[name] or repr(left[name]) == repr(right[name]), name
    assert _bits(clone(restored).fit(texts).transform(texts)) == _bits(estimator.transform(texts))
