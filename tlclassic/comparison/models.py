"""The models that are compared: what each needs, how it is fitted, and how much of the time it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlclassic._compat import is_installed
from tlclassic.comparison import counting, encoders, students
from tlclassic.comparison.fitting import Fitted, Work
from tlclassic.comparison.problem import Problem, Settings, digest_of
from tlclassic.distillation.digests import digest_of_path
from tlclassic.encoders.files import open_files
from tlclassic.encoders.folder import choose_graph
from tlclassic.errors import EncoderFormatError

__all__ = ["MODELS", "Model", "title_of"]

_ONNX = (("onnxruntime", "pip install 'tlclassic[onnx]'"), ("tokenizers", "pip install 'tlclassic[onnx]'"))
_TORCH = (("torch", "pip install 'tlclassic[finetune]'"), ("transformers", "pip install 'tlclassic[finetune]'"))


@dataclass(frozen=True)
class Model:
    """One of the models.

    Attributes
    ----------
    name : str
    title : str
        In tables and plots.
    fit : callable
        From `Work` to the rows that it gives.
    weight : float
        How much of the time it gets, in relation to the others.
    is_ours : bool
        Whether it is tlclassic's own, or what others offer.
    modules : tuple of (str, str)
        What must be installed, and by which command.
    lacks : callable
        What is missing in the settings, or None.
    depends : callable
        What its fit depends on besides the labelled texts; JSON-able.
    """

    name: str
    title: str
    fit: Callable[[Work], list[Fitted]]
    weight: float = 1.0
    is_ours: bool = False
    modules: tuple[tuple[str, str], ...] = ()
    lacks: Callable[[Settings], str | None] = lambda settings: None
    depends: Callable[[Settings, Problem], Any] = lambda settings, problem: None

    def missing(self, settings: Settings) -> str | None:
        """Why it cannot be fitted, with what to do about it; None where it can."""
        lacking = self.lacks(settings)
        if lacking is not None:
            return lacking
        for module, command in self.modules:
            if not is_installed(module):
                return f"{module} is not installed. Install it with: {command}"
        return None


def _digest(path: Path | None) -> str | None:
    return None if path is None else digest_of_path(path)


def _needs_vectors(settings: Settings) -> str | None:
    return None if settings.vectors is not None else "no word vectors were given. Give some with --vectors"


def _needs_graph(settings: Settings) -> str | None:
    if settings.encoder is None:
        return "no transformer encoder was given. Give a folder with --encoder"
    try:
        choose_graph(open_files(str(settings.encoder)), "auto")
    except EncoderFormatError as error:
        return f"{error}"
    return None


def _needs_weights(settings: Settings) -> str | None:
    if settings.finetuned is not None:
        return None
    if settings.encoder is None:
        return "no transformer encoder was given. Give a folder with --encoder, or a fine-tuned one with --finetuned"
    if not any(settings.encoder.rglob("model.safetensors")):
        return f"{settings.encoder} holds no torch weights (model.safetensors)"
    return None


def _needs_torch_weights(settings: Settings) -> str | None:
    given = [folder for folder in (settings.finetuned, settings.encoder) if folder is not None]
    if any(next(folder.rglob("model.safetensors"), None) for folder in given):
        return None
    return "no folder with torch weights (model.safetensors) was given. Give one with --encoder"


class _FineTuned(Model):
    """Training needs torch; a folder that was trained already does not."""

    def missing(self, settings: Settings) -> str | None:
        if settings.finetuned is None:
            return super().missing(settings)
        for module, command in _ONNX:
            if not is_installed(module):
                return f"{module} is not installed. Install it with: {command}"
        return None


def _encoder(settings: Settings, problem: Problem) -> Any:
    return [_digest(settings.encoder), _digest(settings.finetuned)]


def _student(settings: Settings, problem: Problem) -> Any:
    return [digest_of(problem.unlabelled), settings.student_size]


_ALL = (
    Model("tfidf", "TF-IDF + LR", counting.tfidf),
    Model("nbsvm", "NB-SVM", counting.nbsvm),
    Model(
        "fasttext",
        "fastText",
        counting.fasttext,
        weight=3.0,
        modules=(("fasttext", "pip install fasttext (builds with g++)"),),
    ),
    Model(
        "vectors",
        "word vectors + LR",
        counting.vectors,
        lacks=_needs_vectors,
        depends=lambda settings, problem: _digest(settings.vectors),
    ),
    Model("base-en", "base-en + LR", counting.base_en, is_ours=True),
    Model("ngrams", "n-grams (tune)", counting.ngrams, weight=6.0, is_ours=True),
    Model("frozen", "frozen encoder + LR", encoders.frozen, 4.0, modules=_ONNX, lacks=_needs_graph, depends=_encoder),
    _FineTuned(
        "finetuned",
        "fine-tuned",
        encoders.finetuned,
        weight=30.0,
        modules=(*_TORCH, *_ONNX),
        lacks=_needs_weights,
        depends=_encoder,
    ),
    Model(
        "torch", "encoder in torch", encoders.torch, 4.0, modules=_TORCH, lacks=_needs_torch_weights, depends=_encoder
    ),
    Model("distilled", "distilled", students.distilled, weight=12.0, is_ours=True, depends=_student),
    Model("cascade", "cascade", students.cascade, is_ours=True, depends=_student),
)
#: By name, the small and fast ones first, those that need others after them.
MODELS: dict[str, Model] = {model.name: model for model in _ALL}
#: What a model's row depends on besides its own settings: rows of models before it.
BEFORE = {"torch": ("finetuned",), "distilled": students.TEACHERS, "cascade": ("distilled", *students.TEACHERS)}


def title_of(model: str, row: str) -> str:
    """Of a row: the model's title, with what tells its rows apart."""
    return MODELS[model].title + row.removeprefix(model).replace("-", ", ", 1)
