"""``OnnxEncoder``: a transformer encoder as a scikit-learn transformer of texts, through onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_choice, check_integer, check_texts
from tlclassic.encoders.batching import batches, padded, slices
from tlclassic.encoders.files import EncoderFiles, open_files
from tlclassic.encoders.folder import EncoderSpec, read_spec
from tlclassic.encoders.pooling import MODES, finish, pool
from tlclassic.encoders.sessions import Graph, open_graph
from tlclassic.encoders.tokens import Pieces
from tlclassic.errors import EncoderFormatError, InvalidParameterError

require("sklearn", purpose="OnnxEncoder")
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin  # noqa: E402

__all__ = ["BATCH_TOKENS", "OnnxEncoder"]

#: Measured on MiniLM: above it the states leave the processor's cache (2,048 take 1.3 times as long), below it the
#: overhead of a call shows.
BATCH_TOKENS = 512
#: Texts whose states are in memory at a time: of MiniLM and 256 tokens each 100 MB.
STATES_TEXTS = 256
Floats = NDArray[np.float32]
#: Called with (texts done, texts in all).
Progress = Callable[[int, int], None]


class OnnxEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A pre-trained transformer encoder as a frozen feature extractor: texts in, vectors out, without torch.

    Opens a folder as Hugging Face and sentence-transformers lay it out: ``tokenizer.json``, ``config.json``,
    ``modules.json`` with its modules, and a graph, ``onnx/model.onnx`` or ``model.onnx`` or a quantised variant. Texts
    are sorted by length and go through the graph in batches of a number of tokens, so that hardly any padding is
    computed; vectors come back in the order of the texts and do not depend on the batch (float32: to 1e-5; a
    dynamically quantised graph scales each batch as a whole, which shows in the third digit).

    Nothing is learned: ``fit`` opens the folder and checks it, and ``transform`` works without it.

    Parameters
    ----------
    model : path-like or EncoderFiles
        The folder.
    file : str
        Which graph: ``"fp32"``, ``"int8"`` (the variant for this processor), a path in the folder such as
        ``"onnx/model_qint8_avx512_vnni.onnx"``, or ``"auto"``: what ``tlclassic encoder check`` found the better one,
        else fp32, else int8.
    pooling : str or sequence of str
        Of ``"mean"``, ``"cls"``, ``"max"``, ``"mean_sqrt_len"``, ``"weightedmean"``, ``"lasttoken"``; several are put
        side by side. ``"auto"``: what the folder says, else the mean.
    normalize : {"auto", True, False}
        Whether vectors are brought to length one; ``"auto"``: what the folder says.
    prompt : str, optional
        Put before every text: the name of one of the folder's prompts (``config_sentence_transformers.json``), or
        ``"text:..."`` for any other. By default the folder's default prompt, if it has one; ``"text:"`` for none.
    max_length : int, optional
        Tokens of a text, special ones included; what is longer is truncated and counted. By default the folder's limit,
        and never more than the model has positions for.
    batch_tokens : int
        Tokens in a batch, padding included.
    cache : None, bool or path-like
        Keep vectors on disk, so that no text is encoded twice: in the cache folder of word vectors, or in this folder.
    threads : int, optional
        By default as many as this process may use processors (affinity and container quota).
    progress : callable, optional
        Called with (texts done, texts in all).

    Attributes
    ----------
    dim : int
        Numbers in a vector.
    output : {"hidden", "pooled", "logits"}
        What the graph gives.
    max_length_ : int or None
    n_truncated_, n_tokens_ : int
        Texts truncated and tokens computed by the last ``transform``; cached texts do not count.

    Raises
    ------
    EncoderFormatError
        On first use: a file is missing, malformed, truncated or not known how to be used; it is named, with the remedy.
    InvalidParameterError, MissingExtraError

    Examples
    --------
    >>> encoder = OnnxEncoder("all-MiniLM-L6-v2/")  # doctest: +SKIP
    >>> encoder.transform(["where is my parcel"]).shape  # doctest: +SKIP
    (1, 384)
    """

    def __init__(
        self,
        model: Any,
        *,
        file: str = "auto",
        pooling: Any = "auto",
        normalize: Any = "auto",
        prompt: str | None = None,
        max_length: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        cache: Any = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.model = model
        self.file = file
        self.pooling = pooling
        self.normalize = normalize
        self.prompt = prompt
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.cache = cache
        self.threads = threads
        self.progress = progress

    # -- what the folder holds ---------------------------------------------------------------------------------------

    def open(self) -> Self:
        """Open the folder and check that its parts belong together; gives itself back. Raises as the class says."""
        opened = self._opened
        _ = opened.pieces, opened.prompt, opened.pooling, opened.dim, opened.cache
        return self

    @property
    def _opened(self) -> _Opened:
        """What the present parameters open; kept until one of them changes."""
        params = self.get_params(deep=False)
        kept = self.__dict__.get("_kept")
        if kept is None or any(kept[0][name] is not value for name, value in params.items()):
            kept = (params, _Opened(params))
            self._kept = kept
        opened: _Opened = kept[1]
        return opened

    @property
    def files(self) -> EncoderFiles:
        """The folder's files."""
        return self._opened.files

    @property
    def spec(self) -> EncoderSpec:
        """What the folder says of itself."""
        return self._opened.spec

    @property
    def output(self) -> str:
        """What the graph gives: "hidden" (states of the tokens), "pooled" (vectors) or "logits"."""
        return self._opened.graph.output

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self._opened.dim

    @property
    def max_length_(self) -> int | None:
        """Tokens that are kept of a text; None for all."""
        return self._opened.max_length

    @property
    def _n_features_out(self) -> int:
        return self.dim

    def describe(self) -> dict[str, Any]:
        """Facts for people and logs: graph, threads, dimension, pooling, lengths, prompts; JSON-able."""
        opened = self._opened
        return {
            "graph": opened.spec.graph,
            "output": opened.graph.output,
            "dim": opened.dim,
            "pooling": list(opened.pooling),
            "normalize": opened.normalize,
            "dense": [list(layer.weight.shape) for layer in opened.spec.dense],
            "max_length": opened.max_length,
            "prompt": opened.prompt,
            "prompts": dict(opened.spec.prompts),
            "threads": opened.graph.threads,
        }

    # -- use ---------------------------------------------------------------------------------------------------------

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Open the folder and check that ``X``, where given, is a list of texts; nothing is learned."""
        if X is not None:
            check_texts(X)
        return self.open()

    def transform(self, X: Any) -> Floats:
        """The vectors of texts, float32 of shape (n, dim).

        Parameters
        ----------
        X : sequence of str of length n
            An empty text has the vector of the special tokens alone.
        """
        opened = self._opened
        if opened.graph.output == "logits":
            raise InvalidParameterError(
                f"the graph {opened.spec.graph} gives logits, not vectors. Use logits(texts), or open the folder with "
                "EncoderClassifier."
            )
        texts = check_texts(X)
        if opened.cache is None:
            return self._encode(texts)
        self.n_truncated_ = self.n_tokens_ = 0
        kept = [opened.cache.fetch(texts[start:end], self._encode_more) for start, end in slices(texts)]
        return np.concatenate(kept) if kept else np.empty((0, opened.dim), dtype=np.float32)

    def logits(self, X: Any) -> Floats:
        """The logits of a sequence classifier's graph, float32 of shape (n, C)."""
        if self.output != "logits":
            raise InvalidParameterError(f"the graph {self.spec.graph} gives no logits. Use transform(texts).")
        return self._encode(check_texts(X))

    def token_states(self, X: Any) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
        """For each text ``(states, offsets)``: float32 of shape (t, d), and the characters that each token spans.

        Special tokens and prompts are left out; offsets are int64 of shape (t, 2) into the text.
        """
        opened = self._opened
        if opened.graph.output != "hidden":
            raise InvalidParameterError(f"the graph {opened.spec.graph} gives no states of tokens.")
        texts = check_texts(X)
        for start in range(0, len(texts), STATES_TEXTS):
            read = [
                opened.pieces.pieces(opened.prompt + text, opened.max_length)
                for text in texts[start : start + STATES_TEXTS]
            ]
            found = dict(opened.states([numbers for numbers, _, _ in read], self.batch_tokens))
            # A tokenizer without special tokens leaves nothing of an empty text.
            nothing = next((states[:0] for states in found.values()), np.zeros((0, opened.dim), np.float32))
            shift = len(opened.prompt)
            for place, (_, offsets, special) in enumerate(read):
                wanted = ~special & (offsets[:, 1] > shift)
                yield found.get(place, nothing)[wanted], np.maximum(offsets[wanted] - shift, 0)

    def _encode_more(self, texts: Sequence[str]) -> Floats:
        """Encode what a cache lacks, counts added up."""
        before = self.n_truncated_, self.n_tokens_
        vectors = self._encode(texts)
        self.n_truncated_ += before[0]
        self.n_tokens_ += before[1]
        return vectors

    def _encode(self, texts: Sequence[str]) -> Floats:
        opened = self._opened
        self.n_truncated_ = self.n_tokens_ = 0
        result = np.zeros((len(texts), opened.dim), dtype=np.float32)
        done = 0
        for start, end in slices(texts):
            ids, truncated = opened.pieces.numbers(
                [opened.prompt + text for text in texts[start:end]], opened.max_length
            )
            self.n_truncated_ += truncated
            lengths = np.array([len(row) for row in ids], dtype=np.int64)
            for chosen in batches(lengths, self.batch_tokens, opened.graph.rows):
                states, n_tokens = opened.run([ids[i] for i in chosen])
                result[start + chosen] = opened.vectors(states, lengths[chosen])
                self.n_tokens_ += n_tokens
                done += len(chosen)
                if self.progress is not None:
                    self.progress(done, len(texts))
        return result

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.requires_fit = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # A session cannot be sent to another process, and need not be: the folder is opened there.
        state = {name: value for name, value in super().__getstate__().items() if name != "_kept"}
        if isinstance(state["model"], (str, os.PathLike)):
            state["model"] = os.path.abspath(state["model"])
        return state


class _Opened:
    """A folder's parts, each opened when it is asked for and checked against the parameters."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params
        check_integer("batch_tokens", params["batch_tokens"], low=1)
        if params["max_length"] is not None:
            check_integer("max_length", params["max_length"], low=1)
        if params["threads"] is not None:
            check_integer("threads", params["threads"], low=1)
        if not isinstance(params["normalize"], bool):
            check_choice("normalize", params["normalize"], ("auto", True, False))

    @cached_property
    def files(self) -> EncoderFiles:
        return open_files(self._params["model"])

    @cached_property
    def spec(self) -> EncoderSpec:
        file = self._params["file"]
        if not isinstance(file, str):
            raise InvalidParameterError(f"file must be 'auto', 'fp32', 'int8' or a path in the folder; got {file!r}.")
        return read_spec(self.files, file)

    @property
    def graph(self) -> Graph:
        # Asked for anew each time: a forked process must not use its parent's.
        kept = self.__dict__.get("_graph")
        if kept is None or kept[0] != os.getpid():
            kept = (os.getpid(), self._open_graph())
            self._graph = kept
        graph: Graph = kept[1]
        return graph

    def _open_graph(self) -> Graph:
        has_pooling = self._params["pooling"] != "auto" or self.spec.says_pooling
        return open_graph(
            self.files,
            self.spec.graph,
            threads=self._params["threads"],
            has_pooling=has_pooling,
            position_offset=self.spec.position_offset,
        )

    @cached_property
    def pieces(self) -> Pieces:
        return Pieces(self.files)

    @cached_property
    def pooling(self) -> tuple[str, ...]:
        said = self._params["pooling"]
        if isinstance(said, str) and said == "auto":
            return self.spec.pooling
        modes = tuple(said) if isinstance(said, (list, tuple)) else (said,)
        for mode in modes or ("",):
            check_choice("pooling", mode, ("auto", *MODES))
        return modes

    @property
    def normalize(self) -> bool:
        said = self._params["normalize"]
        # What is in the graph is not done twice; a length of one stays one.
        return self.spec.normalize if said == "auto" else bool(said)

    @cached_property
    def prompt(self) -> str:
        said, prompts = self._params["prompt"], self.spec.prompts
        if said is None:
            return "" if self.spec.default_prompt is None else prompts[self.spec.default_prompt]
        if isinstance(said, str) and said.startswith("text:"):
            return said.removeprefix("text:")
        if not isinstance(said, str) or said not in prompts:
            known = ", ".join(map(repr, prompts)) or "none"
            raise InvalidParameterError(
                f"prompt must be one of the folder's prompts ({known}), or 'text:...' for another; got {said!r}."
            )
        return prompts[said]

    @cached_property
    def max_length(self) -> int | None:
        limits = [n for n in (self.spec.max_length, self._params["max_length"], self.graph.tokens) if n is not None]
        return min(limits) if limits else None

    @cached_property
    def _n_skipped(self) -> int:
        return 0 if self.spec.pools_prompt or not self.prompt else self.pieces.n_prompt(self.prompt)

    @cached_property
    def dim(self) -> int:
        dim = self.graph.dim
        if dim is None:
            states, _ = self.run([self.pieces.numbers(["a"], self.max_length)[0][0]])
            dim = states.shape[-1]
        if self.graph.output == "hidden":
            dim *= len(self.pooling)
        if self.graph.output != "logits":
            for number, layer in enumerate(self.spec.dense):
                if layer.weight.shape[1] != dim:
                    raise EncoderFormatError(
                        f"dense layer {number} takes vectors of {layer.weight.shape[1]} numbers, but gets {dim}",
                        path=getattr(self.files, "folder", None),
                        remedy="Choose the pooling that the folder was made for, or copy the folder again",
                    )
                dim = layer.weight.shape[0]
        return dim

    @cached_property
    def cache(self) -> Any:
        if self._params["cache"] in (None, False):
            return None
        from tlclassic.encoders.cache import open_cache

        key = {
            "graph": self.files.digest(self.spec.graph),
            "output": self.graph.output,
            "position_offset": self.spec.position_offset,
            "tokenizer": self.files.digest("tokenizer.json"),
            "pooling": list(self.pooling),
            "normalize": self.normalize,
            "activations": [layer.activation for layer in self.spec.dense],
            "dense": [
                self._digest(name) for name in self.files.names() if name.endswith(".safetensors") and "/" in name
            ],
            "prompt": self.prompt,
            "pools_prompt": self.spec.pools_prompt,
            "max_length": self.max_length,
        }
        return open_cache(self._params["cache"], key, self.dim)

    def _digest(self, name: str) -> str:
        return self.files.digest(name)

    def run(self, ids: Sequence[NDArray[np.int64]], layers: Sequence[str] = ()) -> tuple[Floats, int]:
        """The graph's output for a batch, or those outputs side by side, and the number of tokens computed."""
        graph = self.graph
        numbers, mask = padded(ids, self.pieces.pad, tokens=graph.tokens, rows=graph.rows)
        found = graph.run_layers(numbers, mask, layers) if layers else graph.run(numbers, mask)
        return found[: len(ids)], numbers.size

    def states(
        self, rows: Sequence[NDArray[np.int64]], budget: int, layers: Sequence[str] = ()
    ) -> Iterator[tuple[int, Floats]]:
        """The place of each row that has tokens, and their states, (t, d); in batches of rows of like length."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        for chosen in batches(lengths, budget, self.graph.rows):
            found, _ = self.run([rows[place] for place in chosen], layers)
            for place, own in zip(chosen.tolist(), found, strict=True):
                yield place, own[: lengths[place]]

    def vectors(self, states: Floats, lengths: NDArray[np.int64]) -> Floats:
        """From the graph's output to rows of the result."""
        if self.graph.output == "logits":
            return states
        if self.graph.output == "hidden":
            states = pool(states, lengths, self.pooling, skip=self._n_skipped)
        return finish(states, self.spec.dense, self.normalize)
