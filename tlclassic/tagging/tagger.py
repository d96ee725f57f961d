"""``TokenTagger``: linear structured taggers of tokens, several tasks at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from tlclassic._compat import require
from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.tagging.features import check_sentences, make_settings
from tlclassic.tagging.fitting import Training, fit_model
from tlclassic.tagging.lexicon import Lexicon, fit_lexicon
from tlclassic.tagging.model import TaggerModel
from tlclassic.tagging.predicting import Predictor
from tlclassic.tagging.schemes import SCHEMES
from tlclassic.tagging.state import read_model, write_model
from tlclassic.tagging.states import States, read_states
from tlclassic.tagging.tasks import Task, read_targets
from tlclassic.vectors import WordVectors, load_vectors

require("sklearn", purpose="TokenTagger")
from sklearn.base import BaseEstimator  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

__all__ = ["TokenTagger"]

#: Parameters that are kept in a saved file.
_PLAIN = (
    "algorithm", "window", "affixes", "char_ngrams", "pairs", "classes", "reach", "scheme", "bilou", "epochs",
    "learning_rate", "margin", "dropout", "min_count", "chain", "state_dims", "random_state",
)  # fmt: skip


class TokenTagger(Predictor, BaseEstimator):  # type: ignore[misc]
    """A linear tagger of tokens: parts of speech, chunks, entities, slots; and labels of the sentence beside them.

    Features of the words around a token (the word, its shape, prefixes and suffixes, character n-grams, pairs of
    neighbours, classes of similar words from word vectors) are hashed; weights are those of a conditional random field
    (Lafferty et al. 2001) or of an averaged perceptron (Collins 2002). Tags that mark entities are decoded so that
    every prediction is legal. Several tasks share the features, which are read once.

    Parameters
    ----------
    algorithm : {"crf", "perceptron"}
    window : int, default 2
        Words on each side that say something of a token.
    affixes : bool, default True
        Prefixes and suffixes of up to four characters, of the token and its neighbours.
    char_ngrams : (int, int) or None, default None
        Shortest and longest character n-gram of the token.
    pairs : bool, default True
        Pairs of neighbouring words and shapes.
    vectors : str, path-like, WordVectors or None, default "base-en"
        Word vectors.
    classes : tuple of int, default (64, 256, 1024)
        So many classes of similar words are made of the vectors; each number is a feature.
    reach : int, default -1
        The vectors themselves are features up to this distance; -1: they are not. Slower to fit, and folded into the
        file afterwards.
    states : callable or None, default None
        Further numbers of each token, such as :class:`~tlclassic.tagging.EncoderStates`: from a list of sentences
        to an array (tokens, width) for each. Not saved; give it again on loading.
    state_dims : int or None, default 128
        Principal components of the states, each column at unit variance, that are learned from; None: all columns. They
        are folded into the file, which takes the states themselves.
    scheme : {"auto", "none", "iob2", "bilou"}, default "auto"
        How tags mark entities; "auto": told by the tags.
    bilou : bool, default True
        Learn IOB2 as BILOU, which tells the ends of entities apart (Ratinov and Roth 2009); predictions are IOB2.
    epochs : int, default 10
    learning_rate : float, default 0.2
        Of AdaGrad, for "crf".
    margin : float, default 0.0
        Of "perceptron": by how much the right tags must win.
    dropout : float, default 0.3
        Share of the features left out at random while learning.
    min_count : int, default 1
        A feature is kept that was seen so often.
    chain : bool, default True
        Where there are tasks of tags and tasks of labels: the labels are predicted first, and their probabilities are
        features of every token (a chain of classifiers, Read et al. 2011,
        https://doi.org/10.1007/s10994-011-5256-5). While fitting, the probabilities of a sentence are those of a model
        that has not seen its labels.
    random_state : int, default 0
    progress : callable, optional
        Called with (passes done, passes in all).

    Attributes
    ----------
    tasks_ : tuple of Task
    model_ : TaggerModel

    Examples
    --------
    >>> from tlclassic import TokenTagger
    >>> sentences = [["Anna", "lives", "in", "Berlin"], ["Berlin", "likes", "Anna"]]
    >>> tags = [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "O", "B-PER"]]
    >>> tagger = TokenTagger(vectors=None).fit(sentences, tags)
    >>> tagger.predict([["Anna", "likes", "Berlin"]])
    [['B-PER', 'O', 'B-LOC']]
    """

    def __init__(
        self,
        *,
        algorithm: str = "crf",
        window: int = 2,
        affixes: bool = True,
        char_ngrams: tuple[int, int] | None = None,
        pairs: bool = True,
        vectors: str | os.PathLike[str] | WordVectors | None = "base-en",
        classes: Sequence[int] = (64, 256, 1024),
        reach: int = -1,
        states: States | None = None,
        state_dims: int | None = 128,
        scheme: str = "auto",
        bilou: bool = True,
        epochs: int = 10,
        learning_rate: float = 0.2,
        margin: float = 0.0,
        dropout: float = 0.3,
        min_count: int = 1,
        chain: bool = True,
        random_state: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.algorithm = algorithm
        self.window = window
        self.affixes = affixes
        self.char_ngrams = char_ngrams
        self.pairs = pairs
        self.vectors = vectors
        self.classes = classes
        self.reach = reach
        self.states = states
        self.state_dims = state_dims
        self.scheme = scheme
        self.bilou = bilou
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.margin = margin
        self.dropout = dropout
        self.min_count = min_count
        self.chain = chain
        self.random_state = random_state
        self.progress = progress

    def fit(self, sentences: Sequence[Sequence[str]], tags: Sequence[Any] | Mapping[str, Sequence[Any]]) -> Self:
        """Learn from labelled sentences.

        Parameters
        ----------
        sentences : sequence of n lists of tokens
        tags : sequence of n lists of tags, or dict
            A dict names several tasks: lists of tags, labels of the sentences (str, int or bool), or sets of labels.
            None in the place of a sentence's tags or label: not known.

        Raises
        ------
        InvalidParameterError
            Names the parameter, or the task and the sentence.
        """
        self._check()
        sentences = check_sentences(sentences)
        if not any(len(sentence) for sentence in sentences):
            raise InvalidParameterError("sentences must hold at least one token.")
        targets = read_targets(
            tags, [len(sentence) for sentence in sentences], scheme=self.scheme, bilou=bool(self.bilou)
        )
        lexicon = self._lexicon()
        reach = min(self.reach, self.window) if lexicon.vectors.shape[1] else -1
        settings = make_settings(
            self.window, bool(self.affixes), self.char_ngrams, bool(self.pairs), lexicon.classes.shape[1], max(reach, 0)
        )
        training = Training(
            crf=self.algorithm == "crf",
            epochs=self.epochs,
            learning_rate=self.learning_rate if self.algorithm == "crf" else 1.0,
            margin=self.margin,
            dropout=self.dropout,
            min_count=self.min_count,
            chain=bool(self.chain),
            state_dims=self.state_dims,
            random_state=self.random_state,
            progress=self.progress,
        )
        states = read_states(self.states, sentences)
        self.model_ = fit_model(sentences, targets, settings, lexicon, states, training)
        return self

    def _check(self) -> None:
        check_choice("algorithm", self.algorithm, ("crf", "perceptron"))
        check_choice("scheme", self.scheme, ("auto", *SCHEMES))
        check_integer("window", self.window, low=0, high=16)
        check_integer("reach", self.reach, low=-1, high=16)
        check_integer("epochs", self.epochs, low=1)
        check_integer("min_count", self.min_count, low=1)
        check_integer("random_state", self.random_state, low=0)
        check_number("learning_rate", self.learning_rate, low=1e-6)
        check_number("margin", self.margin, low=0)
        check_number("dropout", self.dropout, low=0, high=0.95)
        if self.state_dims is not None:
            check_integer("state_dims", self.state_dims, low=1)
        if self.char_ngrams is not None:
            low, high = self.char_ngrams
            check_integer("char_ngrams[0]", low, low=1, high=16)
            check_integer("char_ngrams[1]", high, low=low, high=16)
        for size in self.classes:
            check_integer("classes", size, low=2, high=1 << 16)
        if self.states is not None and not callable(self.states):
            raise InvalidParameterError(
                f"states must be callable; got {type(self.states).__name__}. For a folder pass EncoderStates(folder)."
            )

    def _lexicon(self) -> Lexicon:
        if self.vectors is None or (not len(self.classes) and self.reach < 0):
            return Lexicon()
        vectors = self.vectors if isinstance(self.vectors, WordVectors) else load_vectors(self.vectors)
        return fit_lexicon(vectors, tuple(self.classes), keep_vectors=self.reach >= 0, random_state=self.random_state)

    @property
    def tasks_(self) -> tuple[Task, ...]:
        """The tasks, in the order of their columns."""
        return self._model.tasks

    @property
    def _model(self) -> TaggerModel:
        check_is_fitted(self, "model_")
        model: TaggerModel = self.model_
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return "model_" in vars(self)

    def compile(self, *, prune: float = 0.02, dtype: str = "int8") -> Any:
        """A smaller tagger that predicts without scikit-learn; see :class:`~tlclassic.tagging.CompiledTagger`.

        Parameters
        ----------
        prune : float
            Features of which no weight is larger are left out.
        dtype : {"int8", "float32"}
        """
        from dataclasses import replace

        from tlclassic.tagging.compiled import CompiledTagger

        check_number("prune", prune, low=0)
        check_choice("dtype", dtype, ("int8", "float32"))
        model = self._model.pruned(prune)
        model = replace(model.quantized() if dtype == "int8" else model, keys=np.zeros(0, np.uint64))
        return CompiledTagger(model, states=self.states, metadata={"compiled": {"prune": prune, "dtype": dtype}})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted tagger as one file, without the vectors, which are not needed again, and ``states``."""
        params = {name: _plain(getattr(self, name)) for name in _PLAIN}
        params["vectors"] = os.fspath(self.vectors) if isinstance(self.vectors, (str, os.PathLike)) else None
        write_model(self._model, path, {"params": params})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, states: States | None = None) -> TokenTagger:
        """Open a saved tagger.

        Parameters
        ----------
        path : path-like
        states : callable, optional
            What ``states`` was when it was fitted.

        Raises
        ------
        ArtifactError
        InvalidParameterError
            When a compiled tagger is opened, which cannot be fitted again: use ``tlclassic.load``.
        """
        model, extra = read_model(path)
        params = extra.get("params")
        if not isinstance(params, dict) or not set(params) <= {*_PLAIN, "vectors"}:
            raise InvalidParameterError(
                f"{os.fspath(path)} holds a compiled tagger. Open it with tlclassic.load(path)."
            )
        options: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in params.items()}
        tagger = cls(**options, states=states)
        tagger._check()
        tagger.model_ = model
        return tagger


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
