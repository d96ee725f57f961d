"""Shared by all tests: where the real data sets are, and how Hypothesis runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline measures the machine and not the code: sanitizer builds and busy runners miss it.
settings.register_profile("tlclassic", deadline=None)
settings.load_profile("tlclassic")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets beside the checkout; without it the test is skipped by name."""
    folder = Path(__file__).resolve().parent.parent.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the real data sets are not in ../shared")
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process: its exit code, stdout and stderr."""
    from tlclassic.app.main import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tlclassic", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call
