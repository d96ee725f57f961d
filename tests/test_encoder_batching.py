"""Batches of texts for an encoder."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from tlclassic.encoders.batching import CALL_TOKENS, batches


def cut(lengths, budget, size=None):
    return [rows.tolist() for rows in batches(np.array(lengths, np.int64), budget, size)]


def cost(lengths, found):
    return sum(CALL_TOKENS + max(lengths[row] for row in rows) * len(rows) for rows in found)


def cheapest(lengths, budget):
    """The least cost over every way to cut the sorted texts."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    costs = []
    for n_cuts in range(len(order)):
        for places in combinations(range(1, len(order)), n_cuts):
            ends = [0, *places, len(order)]
            found = [order[a:b] for a, b in pairwise(ends)]
            if all(len(rows) == 1 or max(lengths[row] for row in rows) * len(rows) <= budget for rows in found):
                costs.append(cost(lengths, found))
    return min(costs)


def test_texts_of_like_length_are_in_one_batch():
    assert cut([5, 40, 6, 41, 5], 512) == [[3, 1], [2, 0, 4]]


def test_a_little_padding_costs_less_than_a_further_call():
    assert cut([10, 9, 8], 512) == [[0, 1, 2]]


def test_no_batch_is_above_its_budget_but_a_single_long_text():
    assert cut([100, 10, 10, 10, 10], 20) == [[0], [1, 2], [3, 4]]


def test_texts_without_a_token_are_in_none():
    assert cut([0, 3, 0], 512) == [[1]]
    assert cut([0, 0], 512) == []
    assert cut([], 512) == []


def test_graphs_of_a_fixed_size_get_so_many_texts():
    assert cut([1, 50, 2, 49, 3], 10, size=2) == [[1, 3], [4, 2], [0]]


@pytest.mark.parametrize("seed", range(5))
def test_no_way_to_cut_has_fewer_tokens(seed):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 40, size=9).tolist()
    budget = int(random.integers(20, 160))
    found = cut(lengths, budget)
    assert sorted(row for rows in found for row in rows) == list(range(9))
    assert cost(lengths, found) == cheapest(lengths, budget)
