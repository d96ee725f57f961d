"""What fine-tuning may be told, checked in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError

__all__ = ["FineTuneOptions", "TokenOptions"]

SCHEDULES = ("slanted", "linear", "cosine", "constant")
PRECISIONS = ("auto", "float32", "bfloat16")
ACTIVATIONS = ("gelu", "relu", "tanh")
METRICS = ("accuracy", "macro_f1", "loss")
TASK_POOLINGS = ("shared", "attention")


@dataclass(frozen=True, kw_only=True)
class FineTuneOptions:
    """Settings of one fine-tuning run.

    Parameters
    ----------
    train : str or tuple of str
        ``"head"``: the encoder stays as it is. ``"top-K"``: its K uppermost layers are trained too. ``"all"``: all of
        its layers and its embeddings. A tuple: the parameters whose names begin with one of these prefixes.
    head : tuple of int
        Sizes of the fully connected layers between the pooled vector and the logits; empty for a linear head.
    activation : {"gelu", "relu", "tanh"}
        Between the layers of the head.
    task_pooling : {"shared", "attention"}
        One vector a text for the heads of all tasks, pooled as the folder says; or one for each task, which attends to
        the token states with a query of its own.
    cross_attention : bool
        With ``task_pooling="attention"``: the tasks' vectors attend to each other before the heads.
    temperature : float
        From 1 on. With several tasks of n labelled texts each, an epoch draws them in proportion to ``n ** (1 /
        temperature)``: 1 is every text once, more gives small tasks a larger share (Arivazhagan et al. 2019,
        https://arxiv.org/abs/1907.05019).
    dropout : float
        On the inputs of every layer of the head.
    encoder_dropout : float, optional
        In the trained layers of the encoder; what its configuration says where None.
    epochs : float
        Passes over the training texts; parts of one are allowed.
    batch_size : int
        Texts a step.
    learning_rate : float
        Of the encoder's uppermost layer, at the schedule's peak.
    head_learning_rate : float, optional
        Of the head; where None 1e-3, or 1e-2 with ``train="head"``.
    decay : float
        By which the learning rate falls from a layer to the one below it (discriminative fine-tuning of Howard and
        Ruder 2018, section 3.1, who divide by 2.6).
    weight_decay : float
        Decoupled (AdamW); of matrices only, not of biases and normalisation.
    schedule : {"slanted", "linear", "cosine", "constant"}
        See :func:`tlclassic.finetune.schedule.factor`.
    warmup : float
        Share of the steps in which the rate rises.
    gradual_unfreezing : bool
        The head is trained first, and then one layer more after every epoch, or faster where the epochs are few (Howard
        and Ruder 2018, section 3.3).
    precision : {"auto", "float32", "bfloat16"}
        "auto": bfloat16 matrix products where the processor has instructions for them.
    averaging : float, optional
        Decay a step of an exponential moving average of the weights, which is what is evaluated and kept.
    label_smoothing : float
        Share of every target that is spread over all classes; with ``multilabel`` towards one half.
    class_weight : dict, "balanced" or None
        For several tasks: a dict of these by the name of the task.
    metric : {"accuracy", "macro_f1", "loss"}
        By which the best state is told on dev.
    evaluations : int
        How often dev is evaluated, each epoch.
    patience : int, optional
        Stop after so many evaluations without a better one.
    max_length : int, optional
        Tokens of a text, special ones counted; the folder's own where None.
    max_norm : float, optional
        Of the gradient, which is scaled down to it; None: as it is.
    frozen_bytes : int
        How much of the disk the kept states of frozen layers may take; beyond it those layers run every time.
    seed : int
    device : str
        "auto": a GPU where there is one.
    threads : int, optional
        Those available where None.
    """

    #: What ``metric`` may be.
    metrics: ClassVar[tuple[str, ...]] = METRICS

    train: str | tuple[str, ...] = "all"
    head: tuple[int, ...] = ()
    activation: str = "gelu"
    task_pooling: str = "shared"
    cross_attention: bool = False
    temperature: float = 1.0
    dropout: float = 0.1
    encoder_dropout: float | None = None
    epochs: float = 4
    batch_size: int = 32
    learning_rate: float = 1e-4
    head_learning_rate: float | None = None
    decay: float = 0.9
    weight_decay: float = 0.01
    schedule: str = "slanted"
    warmup: float = 0.1
    gradual_unfreezing: bool = False
    precision: str = "auto"
    averaging: float | None = None
    label_smoothing: float = 0.0
    class_weight: Any = None
    metric: str = "accuracy"
    evaluations: int = 1
    patience: int | None = None
    max_length: int | None = None
    max_norm: float | None = 1.0
    frozen_bytes: int = 8 << 30
    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "train", _train(self.train))
        object.__setattr__(self, "head", _sizes(self.head))
        for name, choices in (
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("activation", ACTIVATIONS),
            ("metric", self.metrics),
            ("task_pooling", TASK_POOLINGS),
            ("cross_attention", (True, False)),
            ("gradual_unfreezing", (True, False)),
        ):
            check_choice(name, getattr(self, name), choices)
        for name, low in (("batch_size", 1), ("evaluations", 1), ("frozen_bytes", 0), ("seed", 0)):
            check_integer(name, getattr(self, name), low=low)
        for name, low in (("patience", 1), ("max_length", 3), ("threads", 1)):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), low=low)
        for name in ("dropout", "encoder_dropout", "averaging", "label_smoothing", "warmup", "decay"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low=0, high=1)
        for name in ("epochs", "learning_rate", "head_learning_rate", "max_norm", "decay"):
            _check_positive(name, getattr(self, name), optional=name in ("max_norm", "head_learning_rate"))
        check_number("weight_decay", self.weight_decay, low=0)
        check_number("temperature", self.temperature, low=1)
        if self.cross_attention and self.task_pooling != "attention":
            raise InvalidParameterError(
                "cross_attention=True needs a vector for each task. Set task_pooling='attention'."
            )

    @property
    def head_rate(self) -> float:
        """The head's learning rate at the schedule's peak."""
        return self.head_learning_rate or (1e-2 if self.train == "head" else 1e-3)

    @property
    def top(self) -> int | None:
        """K of ``train="top-K"``."""
        return int(self.train[4:]) if isinstance(self.train, str) and self.train.startswith("top-") else None

    def to_json(self) -> dict[str, Any]:
        """A dict of plain values that :meth:`from_json` takes back."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FineTuneOptions:
        """The options that :meth:`to_json` wrote.

        Raises
        ------
        InvalidParameterError
            Where a name is none of ours, or a value is outside its domain.
        """
        known = {field.name for field in fields(cls)}
        for name in values:
            if name not in known:
                raise InvalidParameterError(
                    f"{name!r} is no option of fine-tuning; there are {', '.join(sorted(known))}."
                )
        own: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**own)


@dataclass(frozen=True, kw_only=True)
class TokenOptions(FineTuneOptions):
    """Settings of a run on tagged tokens: those of :class:`FineTuneOptions` with other defaults.

    Parameters
    ----------
    learning_rate, epochs, batch_size
        The last in sentences.
    metric : {"score", "accuracy", "loss"}
        By which the best state is told on dev; "score" is entity F1 where the tags mark entities, else the accuracy of
        the tokens, the mean over the tasks.
    others
        As of :class:`FineTuneOptions`. ``head``, ``activation``, ``task_pooling`` and ``cross_attention`` have no say:
        heads are linear, on the mean state of a token's pieces.
    """

    metrics: ClassVar[tuple[str, ...]] = ("score", "accuracy", "loss")
    _without_say: ClassVar[tuple[str, ...]] = ("head", "activation", "task_pooling", "cross_attention")

    epochs: float = 5
    batch_size: int = 32
    learning_rate: float = 2e-4
    metric: str = "score"

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in self._without_say and getattr(self, field.name) != field.default:
                raise InvalidParameterError(
                    f"{field.name} has no say in fine-tuning on tagged tokens, whose heads are linear. Leave it out."
                )
        super().__post_init__()

    def to_json(self) -> dict[str, Any]:
        """A dict of plain values that :meth:`from_json` takes back, without those that have no say."""
        return {name: value for name, value in super().to_json().items() if name not in self._without_say}


def _train(train: object) -> str | tuple[str, ...]:
    if isinstance(train, str):
        if train in ("head", "all") or re.fullmatch(r"top-[1-9][0-9]{0,3}", train):
            return train
    elif isinstance(train, (list, tuple)) and train and all(isinstance(name, str) and name for name in train):
        return tuple(train)
    raise InvalidParameterError(
        f"train must be 'head', 'top-K' with K of 1 or more, 'all', or prefixes of parameter names; got {train!r}."
    )


def _sizes(head: object) -> tuple[int, ...]:
    if not isinstance(head, (list, tuple)):
        raise InvalidParameterError(f"head must be the sizes of its layers, such as (256,) or (); got {head!r}.")
    for size in head:
        check_integer("head", size, low=1)
    return tuple(int(size) for size in head)


def _check_positive(name: str, value: object, *, optional: bool) -> None:
    if optional and value is None:
        return
    check_number(name, value, low=0)
    if value == 0:
        raise InvalidParameterError(f"{name} must be above 0; got {value!r}.")
