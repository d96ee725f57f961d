"""onnxruntime sessions: one for each graph, number of threads and process, opened when it is first used.

A forked child cannot use its parent's session, whose threads do not exist there; it opens its own. The parent's is kept
alive and untouched in the child: to close it would be to wait for those threads.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import available_cpus, require
from tlclassic.encoders.files import EncoderFiles
from tlclassic.errors import EncoderFormatError

__all__ = ["Graph", "open_graph"]

#: Inputs that are known how to fill.
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_HIDDEN = ("last_hidden_state", "token_embeddings")
_POOLED = ("sentence_embedding", "sentence_embeddings", "embeddings", "pooler_output")
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class _Input(NamedTuple):
    dtype: Any
    rows: int | None
    tokens: int | None


class Graph:
    """An open graph.

    Attributes
    ----------
    output : {"hidden", "pooled", "logits"}
        What it gives: states of shape (b, t, d), vectors (b, d), or logits (b, C).
    dim : int or None
        The last axis of the output, if the graph says it.
    rows, tokens : int or None
        The shape that it wants, if that is fixed.
    threads : int
    layers : tuple of str
        Outputs that are states of tokens: several where the graph was exported with those of its layers.
    """

    def __init__(self, session: Any, where: str | Path, threads: int, has_pooling: bool, position_offset: int) -> None:
        self._session = session
        self._where = where
        self._offset = position_offset
        self.threads = threads
        self._inputs = {item.name: self._input(item) for item in session.get_inputs()}
        if "input_ids" not in self._inputs:
            raise self._error(f"has no input input_ids; its inputs are {', '.join(self._inputs) or 'none'}")
        self.rows, self.tokens = self._inputs["input_ids"].rows, self._inputs["input_ids"].tokens
        outputs = session.get_outputs()
        self._name, self.output, self.dim = self._output(outputs, has_pooling)
        self.layers = tuple(item.name for item in outputs if len(item.shape) == 3)

    def _input(self, item: Any) -> _Input:
        if item.name not in INPUTS or item.type not in _TYPES or len(item.shape) != 2:
            raise self._error(f"asks for the input {item.name} ({item.type}, shape {item.shape})")
        rows, tokens = (size if isinstance(size, int) and size > 0 else None for size in item.shape)
        return _Input(_TYPES[item.type], rows, tokens)

    def _output(self, outputs: list[Any], has_pooling: bool) -> tuple[str, str, int | None]:
        by_name = {item.name: item for item in outputs}
        if "logits" in by_name and len(by_name["logits"].shape) == 2:
            return "logits", "logits", _size(by_name["logits"])
        hidden = [name for name in _HIDDEN if name in by_name] or [
            item.name for item in outputs if len(item.shape) == 3 and item.type in ("tensor(float)", "tensor(float16)")
        ]
        pooled = [name for name in _POOLED if name in by_name] or [
            item.name for item in outputs if len(item.shape) == 2 and item.type in ("tensor(float)", "tensor(float16)")
        ]
        # A folder that says how to pool is taken at its word; else what the graph pooled itself is its answer.
        if hidden and (has_pooling or not pooled or pooled[0] == "pooler_output"):
            return hidden[0], "hidden", _size(by_name[hidden[0]])
        if pooled:
            return pooled[0], "pooled", _size(by_name[pooled[0]])
        said = ", ".join(f"{item.name} {item.type} {item.shape}" for item in outputs)
        raise self._error(f"gives neither token states nor vectors nor logits, but {said}")

    def run(self, numbers: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """The output for token numbers and mask of shape (b, t)."""
        (result,) = self._run([self._name], numbers, mask)
        return np.asarray(result, dtype=np.float32)

    def run_layers(
        self, numbers: NDArray[np.int64], mask: NDArray[np.int64], names: Sequence[str]
    ) -> NDArray[np.float32]:
        """The states of several outputs side by side, float32 of shape (b, t, len(names) * d).

        Raises
        ------
        EncoderFormatError
            When the graph has no such output.
        """
        missing = [name for name in names if name not in self.layers]
        if missing:
            raise self._error(
                f"has no states called {', '.join(missing)}; it has {', '.join(self.layers) or 'none'}",
                "Name outputs that it has, or export it with those of its layers",
            )
        return np.concatenate(self._run(list(names), numbers, mask), axis=2, dtype=np.float32)

    def _run(self, names: list[str], numbers: NDArray[np.int64], mask: NDArray[np.int64]) -> list[Any]:
        values = {"input_ids": numbers, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            values["token_type_ids"] = np.zeros_like(numbers)
        if "position_ids" in self._inputs:
            values["position_ids"] = np.broadcast_to(np.arange(numbers.shape[1]) + self._offset, numbers.shape)
        feed = {name: np.ascontiguousarray(values[name], dtype=item.dtype) for name, item in self._inputs.items()}
        try:
            return list(self._session.run(names, feed))
        except Exception as error:  # onnxruntime's own error classes have no common base
            raise self._error(
                f"failed on {numbers.shape[0]} texts of {numbers.shape[1]} tokens ({_first_line(error)})",
                "Lower max_length to what the model has positions for; copy tokenizer.json anew if it is another's",
            ) from error

    def _error(self, what: str, remedy: str | None = None) -> EncoderFormatError:
        remedy = remedy or f"Known inputs are {', '.join(INPUTS)} of shape (texts, tokens); export the encoder again"
        return EncoderFormatError(what, path=self._where, remedy=remedy)


def _size(item: Any) -> int | None:
    return item.shape[-1] if isinstance(item.shape[-1], int) and item.shape[-1] > 0 else None


def _first_line(error: Exception) -> str:
    # Before what went wrong stand the path and the place in the library's source, longer than what is shown.
    said = str(error).strip().split("\n")[0]
    return re.sub(r"Load model from .*? failed:|/onnxruntime_src/.*?\) (?=[A-Z])", "", said)[:300]


_lock = threading.Lock()
_open: weakref.WeakValueDictionary[tuple[Any, ...], Graph] = weakref.WeakValueDictionary()
#: What a forked child must not close.
_inherited: list[Graph] = []


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _inherited.extend(_open.values())
    _open.clear()
    # The tokenizers library warns, on stderr and for each process, that it will do this.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def open_graph(
    files: EncoderFiles, name: str, *, threads: int | None = None, has_pooling: bool = True, position_offset: int = 0
) -> Graph:
    """The graph ``name``, shared by all who ask for it in this process with as many threads.

    Parameters
    ----------
    files : EncoderFiles
    name : str
        Path below the folder.
    threads : int, optional
        By default as many as the process may use processors (affinity and container quota).
    has_pooling : bool
        Whether the folder says how states are pooled.
    position_offset : int

    Raises
    ------
    EncoderFormatError
        When the file is no graph, is truncated, needs another onnxruntime, or wants inputs that are not known.
    MissingExtraError
    """
    threads = threads or available_cpus()
    path = files.path(name)
    stamp = files.digest(name) if path is None else (os.path.realpath(path), *_stamp(path))
    key = (stamp, threads, has_pooling, position_offset)
    with _lock:
        graph = _open.get(key)
        if graph is None:
            session = _session(files, name, threads)
            graph = Graph(session, path or name, threads, has_pooling, position_offset)
            _open[key] = graph
        return graph


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _session(files: EncoderFiles, name: str, threads: int) -> Any:
    runtime = require("onnxruntime", purpose="A transformer encoder")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Every batch has another shape: plans of memory for each would pile up.
    options.enable_mem_pattern = False
    # Threads that wait without sleeping take twice the processor time where something else runs beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    path = files.path(name)
    source = files.read(name) if path is None else os.fspath(path)
    try:
        return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own error classes have no common base
        raise _refusal(_first_line(error), path or name) from error


def _refusal(said: str, where: str | Path) -> EncoderFormatError:
    if "INVALID_GRAPH" in said or "not a registered function/op" in said:
        what = "has operators that onnxruntime does not know in the opset it was written for"
        remedy = "Export the encoder again, with opset 17 and operators of ONNX alone"
    elif "opset" in said.lower() or "IR version" in said:
        what = "needs a newer onnxruntime than the installed one"
        remedy = "Upgrade onnxruntime, or export the encoder with a lower opset (17)"
    elif "external" in said.lower() or "initializer" in said.lower():
        what, remedy = "lacks the file that holds its weights", "Copy it beside the graph under the name it had"
    else:
        what, remedy = "is not a whole ONNX graph", "Export it again, or copy it again if a download broke off"
    return EncoderFormatError(f"{what} ({said})", path=where, remedy=remedy)
