"""Timing and memory of programs, fairly: rivals in turn, medians, a fresh process for peak memory."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlclassic._validate import check_integer
from tlclassic.errors import InvalidParameterError

__all__ = ["ProcessCost", "interleaved", "process_cost"]


def interleaved(
    candidates: Mapping[str, Callable[[], Any]], *, repeats: int = 5, warmup: int = 1
) -> dict[str, dict[str, Any]]:
    """Time several callables in turn, A B C A B C ..., so that a drifting machine is unfair to none.

    The garbage collector is off while a candidate runs, and runs between two candidates.

    Parameters
    ----------
    candidates : mapping of str to callable
    repeats : int
        Counted runs of each.
    warmup : int
        Runs of each that come first and are not counted.

    Returns
    -------
    dict of str to dict
        For each candidate ``median``, ``min``, ``max`` (wall-clock seconds), ``cpu`` (median processor seconds of the
        process) and ``all`` (every wall-clock time, in order).
    """
    check_integer("repeats", repeats, low=1)
    check_integer("warmup", warmup, low=0)
    if not candidates:
        raise InvalidParameterError("candidates must hold at least one callable; got none.")
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    cpu: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warmup + repeats):
        for name, candidate in candidates.items():
            seconds, processor = _run(candidate)
            if turn >= warmup:
                wall[name].append(seconds)
                cpu[name].append(processor)
    return {
        name: {
            "median": statistics.median(times),
            "min": min(times),
            "max": max(times),
            "cpu": statistics.median(cpu[name]),
            "all": times,
        }
        for name, times in wall.items()
    }


def _run(candidate: Callable[[], Any]) -> tuple[float, float]:
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        start, processor = time.perf_counter(), time.process_time()
        candidate()
        return time.perf_counter() - start, time.process_time() - processor
    finally:
        if was_enabled:
            gc.enable()


# Only wait4 gives the usage of this very child.
_LAUNCHER = """
import os, sys, time
null = os.open(os.devnull, os.O_RDWR)
silent = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)]
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
print([os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss])
"""


@dataclass(frozen=True)
class ProcessCost:
    """What one run of a command cost.

    Attributes
    ----------
    wall_seconds, cpu_seconds : float
        By the clock; user and system time of the process.
    peak_bytes : int
        Largest resident set of the process.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def process_cost(command: Sequence[str]) -> ProcessCost:
    """Run ``command`` in a process of its own, its output thrown away, and account for it.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell is involved.

    Raises
    ------
    InvalidParameterError
        When the command fails; the message has its exit status.
    """
    # A child begins with its parent's peak memory to its name, so a small process starts it and not this one.
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    report = subprocess.run(launcher, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    status, wall, cpu, peak = json.loads(report)
    if status != 0:
        raise InvalidParameterError(f"the command must succeed; {list(command)!r} ended with {status}.")
    return ProcessCost(wall, cpu, peak * 1024)
