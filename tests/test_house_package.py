"""What is installed: the tests run against it, its kernels are compiled, its metadata are as intended."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tlclassic
from tlclassic import kernels

CHECKOUT = Path(__file__).resolve().parent.parent
KERNELS = [
    "_convolve", "_index", "_linear", "_ngrams", "_parse", "_pool", "_score", "_subword", "_tag", "_tagfit",
    "_tokenize",
]  # fmt: skip
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))


@pytest.mark.skipif(os.environ.get("TLCLASSIC_EDITABLE") == "1", reason="TLCLASSIC_EDITABLE=1 is set")
def test_the_installed_package_is_tested():
    assert Path(tlclassic.__file__).resolve().parent != CHECKOUT / "tlclassic", (
        "the tests ran against the checkout; run `make test`, or set TLCLASSIC_EDITABLE=1"
    )


def test_every_kernel_has_a_source_a_stub_and_a_twin():
    folder = CHECKOUT / "tlclassic" / "kernels"
    assert sorted(path.stem for path in folder.glob("*.pyx")) == KERNELS
    for name in KERNELS:
        assert (folder / f"{name}.pyi").exists()
        assert (folder / f"{name}_plain.py").exists()
    built = [module["name"] for module in PROJECT["tool"]["setuptools"]["ext-modules"]]
    assert sorted(built) == [f"tlclassic.kernels.{name}" for name in KERNELS]


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_was_compiled(name):
    origin = importlib.util.find_spec(f"tlclassic.kernels.{name}").origin
    assert origin.endswith(".so")
    assert kernels.COMPILED
    assert kernels.load(name[1:]).__name__ == f"tlclassic.kernels.{name}"


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_and_its_twin_have_the_same_public_names(name):
    kernel = importlib.import_module(f"tlclassic.kernels.{name}")
    twin = importlib.import_module(f"tlclassic.kernels.{name}_plain")
    declared = set(re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", _stub(name), re.MULTILINE))
    assert declared
    for public in declared:
        assert hasattr(kernel, public)
        assert hasattr(twin, public)


def _stub(name):
    return (CHECKOUT / "tlclassic" / "kernels" / f"{name}.pyi").read_text("utf-8")


_WITHOUT_KERNELS = """
import sys, warnings
for name in {missing!r}:
    sys.modules["tlclassic.kernels." + name] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import tlclassic.kernels as kernels, tlclassic.text, tlclassic.vectors
print(kernels.COMPILED, len(caught), caught[0].category.__name__, kernels.load("pool").__name__)
"""


@pytest.mark.parametrize("missing", [KERNELS, ["_index"], ["_tokenize"]])
def test_without_any_one_kernel_all_twins_are_used_with_one_warning(missing):
    code = _WITHOUT_KERNELS.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "1", "KernelsMissingWarning", "tlclassic.kernels._pool_plain"]


def test_the_version_stands_in_one_place():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|a\d+|b\d+|rc\d+)?", tlclassic.__version__)
    assert importlib.metadata.version("tlclassic") == tlclassic.__version__
    assert PROJECT["project"]["dynamic"] == ["version"]
    holders = [
        path.name
        for path in [*(CHECKOUT / "tlclassic").rglob("*.py"), CHECKOUT / "pyproject.toml", CHECKOUT / "Makefile"]
        if f'"{tlclassic.__version__}"' in path.read_text("utf-8")
    ]
    assert holders == ["_version.py"]


def _requirements():
    for line in importlib.metadata.requires("tlclassic"):
        name = re.match(r"[\w.-]+", line)[0]
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        yield name, extra[1] if extra else None


def test_base_dependencies():
    assert {name for name, extra in _requirements() if extra is None} == {"numpy", "typer"}


def test_extras():
    extras = importlib.metadata.metadata("tlclassic").get_all("Provides-Extra")
    assert sorted(extras) == ["all", "bench", "dev", "finetune", "onnx", "spacy", "train"]
    torch = {extra for name, extra in _requirements() if name == "torch"}
    assert torch == {"finetune"}
    assert {name for name, extra in _requirements() if extra == "onnx"} == {"onnx", "onnxruntime", "tokenizers"}
    everything = PROJECT["project"]["optional-dependencies"]["all"]
    assert everything == ["tlclassic[train,onnx,spacy]"]


def test_every_optional_module_is_in_its_extra():
    from tlclassic._compat import EXTRA_OF_MODULE

    distributions = {"sklearn": "scikit-learn"}
    required = set(_requirements())
    for module, extra in EXTRA_OF_MODULE.items():
        assert (distributions.get(module, module), extra) in required


def test_every_dependency_is_pinned():
    pins = re.findall(r"^([\w.-]+)==", (CHECKOUT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    pinned = {name.lower().replace("_", "-") for name in pins}
    wanted = {name.lower() for name, extra in _requirements() if extra != "finetune"} - {"tlclassic"}
    assert wanted - pinned == set()
    assert {"setuptools", "cython"} <= pinned
    # What needs torch has an environment, and pins, of its own.
    assert "torch" not in pinned
    beside = (CHECKOUT / "constraints-finetune.txt").read_text("utf-8")
    assert set(re.findall(r"^(torch|transformers)==", beside, re.MULTILINE)) == {"torch", "transformers"}


def test_every_dependency_is_described():
    page = (CHECKOUT / "docs" / "dependencies.md").read_text("utf-8").lower()
    names = {name.lower() for name, _ in _requirements()} - {"tlclassic"}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_the_console_command():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="tlclassic")
    assert entry.value == "tlclassic.app:main"
    assert importlib.util.find_spec("cli") is None or "tlclassic" not in str(importlib.util.find_spec("cli").origin)


def test_every_package_is_packed():
    folders = {path.parent.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "tlclassic").rglob("__init__.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == {folder.replace("/", ".") for folder in folders} | {
        "tlclassic.models"
    }
