"""The house: floors, lazy imports, public names, the length of files."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tlclassic

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "tlclassic"

#: A floor imports only lower ones, itself excepted; see docs/development.md.
FLOORS = {
    "errors": 0, "_compat": 0, "_validate": 0, "_version": 0,
    "kernels": 1, "storage": 1,
    "data": 2, "text": 2, "vectors": 2,
    "encoders": 3, "features": 3, "runtime": 3,
    "joint": 4,
    "heads": 5, "evaluation": 5, "tagging": 5,
    "multitask": 6, "pipelines": 6,
    "cascade": 7, "finetune": 7, "folding": 7,
    "opening": 8, "tuning": 8,
    "distillation": 9,
    "comparison": 10, "spacy_ext": 10,
    "app": 11, "__main__": 11, "__init__": 11,
}  # fmt: skip
#: The way from a text to its vectors: the vocabulary's tokens are told by a tokeniser.
ALLOWED = {("vectors", "text"), ("__main__", "app"), ("_validate", "errors"), ("_compat", "errors")}
HEAVY = {
    "gensim", "onnxruntime", "pandas", "pyarrow", "safetensors", "scipy", "sklearn", "skops", "spacy", "tokenizers",
    "torch", "transformers",
}  # fmt: skip
TORCH = {"sentence_transformers", "torch", "transformers"}
FILES = sorted(PACKAGE.rglob("*.py"))


def _place(path):
    """``storage`` for tlclassic/storage/reader.py, ``errors`` for tlclassic/errors.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(path, *, top_only=False):
    """(line, dotted module) of every import statement; with ``top_only`` those that run when the module is imported."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = list(_run_on_import(tree)) if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module
            if node.module == "tlclassic":
                yield from ((node.lineno, f"tlclassic.{alias.name}") for alias in node.names)


def _run_on_import(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _run_on_import(child)


def test_the_files_are_found():
    assert len(FILES) > 40
    assert {_place(path) for path in FILES} == set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_floor_imports_only_lower_ones(path):
    own = _place(path)
    for line, module in _imports(path):
        parts = module.split(".")
        if parts[0] != "tlclassic" or len(parts) == 1 or parts[1] == own or (own, parts[1]) in ALLOWED:
            continue
        # `from tlclassic import __version__`, `import load` and the like: the names of the package itself.
        if parts[1] not in FLOORS and own == "app":
            continue
        assert parts[1] in FLOORS, f"{path}:{line}: {module} stands on no floor"
        assert FLOORS[parts[1]] < FLOORS[own], f"{path}:{line}: {own} (floor {FLOORS[own]}) imports {module}"


@pytest.mark.parametrize(
    "path", [p for p in FILES if FLOORS[_place(p)] < 3], ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_low_floors_import_nothing_heavy_at_the_top(path):
    heavy = [
        f"{path}:{line}: {module}" for line, module in _imports(path, top_only=True) if module.split(".")[0] in HEAVY
    ]
    assert heavy == []


@pytest.mark.parametrize(
    "path", [p for p in FILES if _place(p) != "finetune"], ids=lambda p: p.relative_to(PACKAGE).as_posix()
)
def test_torch_is_for_the_workshop_alone(path):
    used = [f"{path}:{line}: {module}" for line, module in _imports(path) if module.split(".")[0] in TORCH]
    assert used == []


def _modules_after(statement):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_costs_little_more_than_numpy():
    numpy = _modules_after("import numpy")
    ours = _modules_after("import tlclassic") - numpy
    assert {name for name in ours if not name.startswith("tlclassic")} - _standard_library(ours) == set()
    assert len(ours) < 40


@pytest.mark.parametrize("package", ["kernels", "storage", "text", "vectors", "data"])
def test_low_floors_load_numpy_only(package):
    ours = _modules_after(f"import tlclassic.{package}") - _modules_after("import numpy")
    outside = {name for name in ours if not name.startswith("tlclassic")} - _standard_library(ours)
    # The others are Cython's own helpers of the compiled kernels.
    assert {name for name in outside if not name.startswith(("numpy.", "_cython", "cython_runtime"))} == set()


def _standard_library(modules):
    return {name for name in modules if name.partition(".")[0] in sys.stdlib_module_names}


def test_public_names():
    assert tlclassic.__all__ == sorted(tlclassic.__all__)
    assert tlclassic.__all__ == [
        "Cascade", "CompiledClassifier", "ConvolutionClassifier", "EmbeddingVectorizer", "EncoderClassifier",
        "JointEncoder", "MultiTaskClassifier", "NgramClassifier", "NgramVectorizer", "OnnxEncoder",
        "SoftLabelLogisticRegression", "TokenTagger", "Tokenizer", "WordVectors", "__version__", "compile", "distill",
        "load", "load_vectors", "save", "tune",
    ]  # fmt: skip
    for name in tlclassic.__all__:
        assert getattr(tlclassic, name) is not None
        assert name in dir(tlclassic)
    with pytest.raises(AttributeError, match="module 'tlclassic' has no attribute 'nothing'"):
        tlclassic.nothing  # noqa: B018


def test_no_folder_hides_a_public_name():
    assert {path.stem for path in PACKAGE.iterdir()} & set(tlclassic.__all__) == set()


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=lambda p: p.parent.name)
def test_every_package_says_what_is_public(path):
    name = ".".join(path.relative_to(CHECKOUT).parent.parts)
    package = importlib.import_module(name)
    assert package.__doc__
    assert package.__all__
    assert len(set(package.__all__)) == len(package.__all__)
    for public in package.__all__:
        assert public in dir(package)
        if name == "tlclassic.finetune":
            pytest.importorskip("torch")
        assert getattr(package, public) is not None


CODE = sorted(
    path
    for folder in ("tlclassic", "tests", "tools", "benchmarks")
    for path in (CHECKOUT / folder).rglob("*.*")
    if path.suffix in {".py", ".pyx", ".pxd", ".pxi", ".pyi", ".h", ".sh"}
)


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_a_file_is_read_in_one_sitting(path):
    text = path.read_text("utf-8")
    # Data in the form of code is not for reading; it says so at its top.
    if "Generated by" not in text[:500]:
        assert text.count("\n") <= 500
