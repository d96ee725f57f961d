"""The error tree: its drawing equals the classes; input errors say where and survive a pickle."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import sys

import pytest

from tlclassic import _compat, errors
from tlclassic.errors import DataFormatError, EncoderFormatError, InputError, MissingExtraError, VectorFormatError


def _drawn_tree():
    """From the module's docstring: (class, its tlclassic base or None, its built-in base or None)."""
    parents: list[str] = []
    for line in errors.__doc__.splitlines():
        if not (found := re.match(r" {4}([│├└─ ]*)(\w+(?:Error|Warning))(?: \((\w+)\))?", line)):
            continue
        depth = len(found[1]) // 4
        parents[depth:] = [found[2]]
        yield found[2], parents[depth - 1] if depth else None, found[3]


def test_the_drawn_tree_is_the_tree():
    drawn = list(_drawn_tree())
    assert len(drawn) == 15
    assert sorted(name for name, _, _ in drawn) == errors.__all__
    for name, parent, builtin in drawn:
        bases = {base.__name__ for base in getattr(errors, name).__bases__}
        if parent is None:
            assert bases == ({"Exception"} if builtin is None else {builtin})
        else:
            assert bases == {parent} | ({builtin} if builtin else set())


def test_all_holds_every_class():
    classes = [name for name, value in vars(errors).items() if inspect.isclass(value)]
    assert sorted(classes) == errors.__all__
    assert all(getattr(errors, name).__doc__ for name in errors.__all__)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "wrong"),
        ({"path": "a.txt"}, "a.txt: wrong"),
        ({"path": "a.txt", "line": 3}, "a.txt:3: wrong"),
        ({"path": "-", "line": 1}, "-:1: wrong"),
        ({"line": 7}, "line 7: wrong"),
        ({"path": "a.txt", "line": 3, "remedy": "Mend it"}, "a.txt:3: wrong. Mend it"),
    ],
)
def test_input_error_says_where(where, text):
    assert str(InputError("wrong", **where)) == text


@pytest.mark.parametrize("kind", [InputError, VectorFormatError, DataFormatError, EncoderFormatError])
@pytest.mark.parametrize("travel", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_input_errors_travel_between_processes(kind, travel, tmp_path):
    error = kind("wrong", path=tmp_path / "a.txt", line=3, remedy="Mend it")
    arrived = travel(error)
    assert type(arrived) is kind
    assert str(arrived) == str(error) == f"{tmp_path}/a.txt:3: wrong. Mend it"
    assert (arrived.path, arrived.line, arrived.remedy) == (str(tmp_path / "a.txt"), 3, "Mend it")


def test_a_missing_extra_names_the_command(monkeypatch):
    monkeypatch.setattr(_compat.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        _compat.require("scipy.sparse", purpose="Reading sparse rows")
    assert str(caught.value) == (
        "Reading sparse rows needs scipy, which is not installed. Install it with: pip install 'tlclassic[train]'"
    )
    assert caught.value.name == "scipy"
    assert isinstance(caught.value, ImportError)


def test_what_is_installed_is_imported_when_asked_for():
    assert _compat.require("json", purpose="This").loads("3") == 3
    assert _compat.is_installed("numpy")
    assert not _compat.is_installed("no_such_module_at_all")
    assert "no_such_module_at_all" not in sys.modules
