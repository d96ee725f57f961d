"""The timing and memory harness."""

from __future__ import annotations

import gc
import json
import sys
import time

import pytest

from tlclassic.errors import InvalidParameterError
from tlclassic.evaluation import environment, interleaved, process_cost


def test_candidates_run_in_turn():
    calls = []
    result = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3, warmup=1)
    assert "".join(calls) == "abababab"
    assert [len(result[name]["all"]) for name in "ab"] == [3, 3]


def test_medians_are_of_the_counted_runs():
    naps = iter([0.05, 0.0, 0.02, 0.01])
    timing = interleaved({"nap": lambda: time.sleep(next(naps))}, repeats=3)["nap"]
    assert timing["min"] < timing["median"] < timing["max"] < 0.045
    assert timing["median"] == sorted(timing["all"])[1] >= 0.01
    assert timing["cpu"] < timing["median"]


def test_garbage_collector_is_off_inside_and_back_on_after():
    seen = []
    interleaved({"a": lambda: seen.append(gc.isenabled())}, repeats=1, warmup=0)
    assert seen == [False]
    assert gc.isenabled()


def test_garbage_collector_comes_back_after_an_error():
    with pytest.raises(ZeroDivisionError):
        interleaved({"a": lambda: 1 / 0})
    assert gc.isenabled()


def test_nothing_to_time():
    with pytest.raises(InvalidParameterError, match="candidates must hold at least one callable"):
        interleaved({})


def test_process_cost_sees_the_childs_memory():
    small = process_cost([sys.executable, "-c", "pass"])
    large = process_cost([sys.executable, "-c", "x = b'x' * 200_000_000"])
    assert 190_000_000 < large.peak_bytes - small.peak_bytes < 260_000_000
    assert small.wall_seconds > 0
    assert small.cpu_seconds > 0


def test_process_cost_of_a_failing_command():
    with pytest.raises(InvalidParameterError, match=r"ended with 3\."):
        process_cost([sys.executable, "-c", "raise SystemExit(3)"])


def test_environment_is_json_and_names_versions():
    facts = json.loads(json.dumps(environment()))
    assert facts["versions"]["numpy"].count(".") >= 1
    assert facts["cpus"] >= 1
    assert set(facts) == {"cpu", "cpus", "memory_gib", "system", "python", "versions"}
