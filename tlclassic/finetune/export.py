"""Encoders of torch as ONNX graphs, in a folder laid out as the ecosystem does, that runs without torch."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlclassic._compat import require
from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import EncoderFormatError, InputError
from tlclassic.storage import atomic_write, check_destination

__all__ = ["copy_settings", "ensure_tokenizer", "export_module", "export_onnx", "inputs_of", "transformer_folder"]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUTS = {"hidden": "last_hidden_state", "logits": "logits", "pooled": "sentence_embedding"}
# Text and settings are copied; weights are in the graph, code is never copied.
_COPIED = (".json", ".txt", ".md", ".model")
_NOT_COPIED = {"pytorch_model.bin.index.json", "model.safetensors.index.json", "tlclassic.json"}
_TOLERANCE = 1e-3
#: The newest that the exporter writes; beyond it, it prints the whole graph and fails.
_MAX_OPSET = 20


def export_module(
    module: Any,
    path: str | os.PathLike[str],
    *,
    inputs: Sequence[str] = _INPUTS,
    output: str = "hidden",
    more: Sequence[str] = (),
    opset: int = 17,
) -> Path:
    """Write a torch encoder as an ONNX graph with any number of texts and tokens.

    By the exporter that traces (``dynamo=False``): its graphs ran faster than those of the newer one. The file appears
    whole or not at all; the module keeps its mode, its attention and its device.

    Parameters
    ----------
    module : torch.nn.Module
        Takes the ``inputs`` by name, int64 (n, t); gives a tensor, or what transformers' models give.
    path : path-like
        The ``.onnx`` file; its folder must exist.
    inputs : sequence of str
        Names of the inputs, those of the graph as well.
    output : {"hidden", "logits", "pooled"}
        What is taken: ``last_hidden_state`` (n, t, dim), ``logits`` (n, classes) or ``sentence_embedding`` (n, dim).
    more : sequence of str
        Further outputs (n, width) of the graph: names in the dict that the module gives.
    opset : int
        Version of the ONNX operators, 11 to 20.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InvalidParameterError, InputError, MissingExtraError
    EncoderFormatError
        When the exporter cannot trace the module.
    """
    check_choice("output", output, list(_OUTPUTS))
    check_integer("opset", opset, low=11, high=_MAX_OPSET)
    torch = require("torch", purpose="Exporting an encoder")
    require("onnx", purpose="Exporting an encoder")
    check_destination(path)
    wrapped = _wrapped(torch, module, inputs, (_OUTPUTS[output], *more))
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    example = tuple(torch.ones((2, 7), dtype=torch.int64, device=device) for _ in inputs)
    axes = {name: {0: "batch", 1: "tokens"} for name in inputs}
    axes |= {name: {0: "batch"} for name in (_OUTPUTS[output], *more)}
    if output == "hidden":
        axes[_OUTPUTS[output]][1] = "tokens"
    # Beside the file: a run that is killed leaves nothing in other places.
    with tempfile.TemporaryDirectory(prefix=".", dir=Path(path).parent) as scratch, _ready(torch, module), _quiet():
        made = Path(scratch) / "model.onnx"
        try:
            torch.onnx.export(
                wrapped,
                example,
                str(made),
                input_names=list(inputs),
                output_names=[_OUTPUTS[output], *more],
                dynamic_axes=axes,
                opset_version=opset,
                do_constant_folding=True,
                dynamo=False,
            )
        except Exception as error:  # the tracer runs the module's own code
            raise EncoderFormatError(f"this module cannot be exported to ONNX ({error})", path=path) from error
        if len(list(Path(scratch).iterdir())) > 1:
            raise EncoderFormatError("a graph of more than 2 GB is not supported", path=path)
        with made.open("rb") as reader, atomic_write(path) as writer:
            shutil.copyfileobj(reader, writer, 1 << 24)
    return Path(path)


def export_onnx(source: str | os.PathLike[str], out: str | os.PathLike[str], *, opset: int = 17) -> Path:
    """Turn a folder of transformers or sentence-transformers into an ONNX encoder's folder.

    The tokenizer, the settings and the pooling and dense modules are copied, the graph goes to ``onnx/model.onnx``
    and is compared with torch before the folder appears: whole, or not at all.

    Parameters
    ----------
    source : path-like
        Holds ``config.json``, weights (``model.safetensors``) and a tokenizer.
    out : path-like
        The new folder; it must not exist yet, or be empty.
    opset : int
        Version of the ONNX operators, 11 to 20.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    EncoderFormatError
        When the source lacks something, or graph and torch differ by more than 0.001.
    InputError, InvalidParameterError, MissingExtraError
    """
    root, target = Path(source), Path(out)
    folder = transformer_folder(root)
    transformers = require("transformers", purpose="Exporting an encoder")
    _check_new(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
    try:
        made.chmod(0o755)
        copy_settings(root, folder, made)
        ensure_tokenizer(transformers, folder, made)
        model, output = _load_model(transformers, folder)
        inputs = inputs_of(model)
        (made / "onnx").mkdir()
        export_module(model, made / "onnx" / "model.onnx", inputs=inputs, output=output, opset=opset)
        _check_parity(model, made / "onnx" / "model.onnx", inputs, _OUTPUTS[output])
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()  # an empty folder gives way
        made.rename(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return target


def _wrapped(torch: Any, module: Any, names: Sequence[str], outputs: Sequence[str]) -> Any:
    """The module with inputs by position and its first output, or all, as tensors, as the tracer wants it."""
    field, *more = outputs

    class Traced(torch.nn.Module):  # type: ignore[misc]  # torch is imported when it is needed
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *tensors: Any) -> Any:
            result = self.module(**dict(zip(names, tensors, strict=True)))
            if isinstance(result, torch.Tensor):
                return result
            if more:
                return tuple(result[name] for name in outputs)
            return result[field] if field in result else result[0]

    return Traced()


@contextlib.contextmanager
def _ready(torch: Any, module: Any) -> Iterator[None]:
    """Evaluation mode, and attention written out: the tracer records it as plain multiplications."""
    training = module.training
    attention = getattr(getattr(module, "config", None), "_attn_implementation", None)
    switch = attention not in (None, "eager") and hasattr(module, "set_attn_implementation")
    module.eval()
    try:
        if switch:
            module.set_attn_implementation("eager")
        with torch.no_grad():
            yield
    finally:
        if switch:
            module.set_attn_implementation(attention)
        module.train(training)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tracer warns of every Python condition on a shape and of the newer exporter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def transformer_folder(root: Path) -> Path:
    """The folder with ``config.json``: the root, or the one that ``modules.json`` names."""
    if not root.is_dir():
        raise EncoderFormatError("there is no such folder", path=root, remedy="Give a folder of transformers")
    modules = _read_json(root / "modules.json")
    first = modules[0] if isinstance(modules, list) and modules and isinstance(modules[0], dict) else {}
    folder = root / str(first.get("path", ""))
    if not folder.resolve().is_relative_to(root.resolve()):
        raise EncoderFormatError("the path of the first module leaves the folder", path=root / "modules.json")
    if not (folder / "config.json").is_file():
        raise EncoderFormatError("there is no config.json here", path=folder, remedy="Give a folder of transformers")
    return folder


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise EncoderFormatError(f"this is not JSON ({error})", path=path) from error


def _check_new(target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise InputError("this exists already", path=target, remedy="Give the path of a new folder")


def copy_settings(root: Path, folder: Path, made: Path) -> None:
    """Settings of the root and of the transformer's folder at the top, other modules in their folders."""
    for source in dict.fromkeys((root, folder)):
        for path in sorted(source.iterdir()):
            if path.is_file() and path.suffix in _COPIED and path.name not in _NOT_COPIED:
                shutil.copyfile(path, made / path.name)
    modules = _read_json(root / "modules.json")
    if not isinstance(modules, list):
        return
    for entry in modules[1:]:
        name = str(entry.get("path", "")) if isinstance(entry, dict) else ""
        part = root / name
        if name and part.is_dir() and part.resolve().is_relative_to(root.resolve()):
            shutil.copytree(part, made / name, ignore=shutil.ignore_patterns("*.py", "*.bin", "*.onnx"))
            _convert_weights(part, made / name)
    if folder != root:
        modules[0]["path"] = ""
        (made / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", "utf-8")


def _convert_weights(part: Path, made: Path) -> None:
    """The weights of a module kept by torch's pickles alone, as safetensors; nothing in them is run."""
    source = part / "pytorch_model.bin"
    if not source.is_file() or (part / "model.safetensors").is_file():
        return
    torch = require("torch", purpose="Exporting an encoder")
    safetensors = require("safetensors.torch", purpose="Exporting an encoder")
    try:
        weights = torch.load(source, map_location="cpu", weights_only=True)
        safetensors.save_file({name: value.contiguous() for name, value in weights.items()}, made / "model.safetensors")
    except Exception as error:  # torch raises many kinds
        raise EncoderFormatError(f"the weights cannot be loaded ({error})", path=source) from error


def ensure_tokenizer(transformers: Any, folder: Path, made: Path) -> None:
    """``tokenizer.json``, built from the older files where there is none."""
    if (made / "tokenizer.json").is_file():
        return
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer.backend_tokenizer.save(str(made / "tokenizer.json"))
    except Exception as error:  # whatever a broken or missing tokenizer raises
        raise EncoderFormatError(f"there is no tokenizer that can be used ({error})", path=folder) from error


def _load_model(transformers: Any, folder: Path) -> tuple[Any, str]:
    """The model in float32, and whether it gives hidden states or logits."""
    config = _read_json(folder / "config.json")
    names = config.get("architectures") if isinstance(config, dict) else None
    classifier = any(str(name).endswith("ForSequenceClassification") for name in names or ())
    kind = transformers.AutoModelForSequenceClassification if classifier else transformers.AutoModel
    transformers.utils.logging.disable_progress_bar()
    try:
        model = kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, attn_implementation="eager"
        )
    except Exception as error:  # transformers raises many kinds
        raise EncoderFormatError(f"the weights cannot be loaded ({error})", path=folder) from error
    return model.float().eval(), "logits" if classifier else "hidden"


def inputs_of(model: Any) -> list[str]:
    """Which of the three inputs the model's ``forward`` takes; DistilBERT and RoBERTa have no token types."""
    taken = set(inspect.signature(model.forward).parameters)
    if getattr(model.config, "type_vocab_size", 0) < 2:
        taken.discard("token_type_ids")
    return [name for name in _INPUTS if name in taken]


def _check_parity(model: Any, path: Path, inputs: Sequence[str], field: str) -> None:
    """Graph and torch agree on another number of texts and tokens than was traced, with padding."""
    torch = require("torch", purpose="Exporting an encoder")
    onnxruntime = require("onnxruntime", purpose="Exporting an encoder")
    draw = np.random.default_rng(0)
    feeds = {name: np.zeros((3, 11), dtype=np.int64) for name in inputs}
    feeds["input_ids"][:] = draw.integers(1, model.config.vocab_size, size=(3, 11))
    feeds["attention_mask"][:] = np.arange(11) < np.array([[11], [6], [1]])
    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    got = session.run(None, feeds)[0]
    with torch.no_grad():
        result = model(**{name: torch.from_numpy(value).to(model.device) for name, value in feeds.items()})
    expected = result[field].float().cpu().numpy()
    kept = feeds["attention_mask"].astype(bool) if field == "last_hidden_state" else slice(None)
    difference = float(np.abs(got[kept] - expected[kept]).max())
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected[kept]).max())):
        raise EncoderFormatError(f"the exported graph differs from torch by {difference:.2g}", path=path)
