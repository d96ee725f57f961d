"""``distill``: what a teacher knows of texts, fitted into a linear student and compiled."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from tlclassic._compat import available_cpus
from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.distillation.augmentation import METHODS
from tlclassic.distillation.known_answers import KnownAnswers
from tlclassic.distillation.material import ask, gather, make_texts
from tlclassic.distillation.recipes import EFFORTS, OBJECTIVES, Convolution, Effort, Recipe, first_recipes
from tlclassic.distillation.result import Distilled
from tlclassic.distillation.searching import Search, Trial
from tlclassic.distillation.soft_label_files import SoftLabels
from tlclassic.distillation.students import Maker
from tlclassic.distillation.teachers import ProbabilityTeacher, open_teacher
from tlclassic.errors import InvalidParameterError
from tlclassic.folding import compile
from tlclassic.folding.sizes import parse_size
from tlclassic.heads import NgramClassifier
from tlclassic.tuning.scoring import METRICS
from tlclassic.vectors import WordVectors, load_vectors

__all__ = ["STUDENTS", "distill"]

STUDENTS = ("auto", "ngrams", "ngrams+vectors", "convolution")
#: Buckets of the n-grams, as a power of two; a small file has fewer.
BITS, SMALL_BITS, SMALL = 21, 18, 1 << 20
#: Of the smallest convolution.
_FEWEST_BITS = 12
#: What may be fixed instead of searched.
_FIXED = ("C", "temperature", "hard_weight", "transfer_weight", "made_weight", "confidence", "prior")
#: Of the smallest effort, where a convolution is asked for.
_ONE = (Convolution(),)
Progress = Callable[[str, int, int | None], object]


def distill(
    teacher: Any,
    texts: Sequence[str] | None = None,
    *,
    labelled: tuple[Sequence[str], Any] | None = None,
    dev: tuple[Sequence[str], Any] | None = None,
    student: str = "auto",
    effort: str = "medium",
    objective: str = "cross_entropy",
    max_size: int | str | None = None,
    dtype: str = "int8",
    metric: str | None = None,
    augmentation: Sequence[str] | None = None,
    max_made: int | None = None,
    vectors: WordVectors | str | None = None,
    fixed: Mapping[str, float] | None = None,
    cache: Any = None,
    threads: int | None = None,
    random_state: int = 0,
    on_progress: Progress | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Distilled:
    """Fit a linear student to a teacher's probabilities, and compile it.

    The teacher is asked for the probabilities of all texts; features, strength and objective of the student are chosen
    on ``dev``; the chosen student is fitted on everything but dev, and compiled into one small file.

    Parameters
    ----------
    teacher : model, path, URL, callable or ProbabilityTeacher, or a list of those; or SoftLabels
        As for :func:`tlclassic.distillation.open_teacher`; or texts with their probabilities, as
        :func:`tlclassic.distillation.read_soft_labels` reads them, which are the texts to learn from then.
    texts : sequence of str, optional
        Texts without labels, of the kind that the student is to be used on; the more, the better.
    labelled : (texts, labels), optional
        Their labels are mixed into the teacher's probabilities. For a multi-label teacher lists of labels.
    dev : (texts, labels), optional
        To choose by, never trained on. By default a tenth of the labelled texts; without any, of the others, judged by
        the teacher's own answers.
    student : {"auto", "ngrams", "ngrams+vectors", "convolution"}
        Hashed n-grams of words and letters; word vectors beside them, in the same artefact; or a convolution over
        windows of words (:class:`tlclassic.ConvolutionClassifier`). "auto": n-grams and, unless the effort is small,
        convolutions, whichever dev says.
    effort : {"small", "medium", "large"}
        How many texts are used and how many recipes are compared; see docs/distillation.md.
    objective : {"cross_entropy", "logits", "auto"}
        Cross-entropy to the teacher's probabilities; or least squares to its logits, cut off at ten; or what dev says.
    max_size : int or str, optional
        Of the compiled file, such as ``"2MB"``.
    dtype : {"int8", "float16", "float32"}
        Of its weights.
    metric : {"accuracy", "macro_f1"}, optional
        What the choice is for; by default accuracy, for multi-label macro F1.
    augmentation : sequence of str, optional
        How texts are made where there are few: names of ``tlclassic.distillation.METHODS``; an empty one for none.
        By default half of what is made of short texts is spliced, and all others take turns but that which needs
        vectors.
    max_made : int, optional
        Make no more than so many, where the teacher is slow.
    vectors : WordVectors or path, optional
        For ``"ngrams+vectors"``, convolutions and the augmentation ``"replace_neighbours"``; by default the packaged
        ``base-en``.
    fixed : mapping of str to float, optional
        Parts of the recipe that are not searched: C, temperature, hard_weight, transfer_weight, made_weight,
        confidence, prior.
    cache : path-like, optional
        A folder for the teacher's answers, written as they come: a run that was killed goes on where it was.
    threads : int, optional
        By default one for each available CPU. The result does not depend on it.
    random_state : int
        Of samples, made texts and the order of stochastic steps.
    on_progress : callable, optional
        Called with a stage, what is done of it, and its total or None.
    provenance : mapping, optional
        JSON-serialisable; kept in the artefact.

    Returns
    -------
    Distilled
        ``student``, ``compiled``, and how they came about.

    Raises
    ------
    InvalidParameterError
        When there is nothing to learn from, no student fits into ``max_size``, or a parameter is outside its domain.

    Notes
    -----
    Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531; sparse n-gram students of transformers: Ye et al.
    2022, https://arxiv.org/abs/2110.08536.

    Examples
    --------
    >>> import numpy as np
    >>> def teacher(texts):
    ...     good = np.array([0.9 if "good" in text else 0.1 for text in texts])
    ...     return np.column_stack([1 - good, good])
    >>> texts = [f"a {word} film, number {i}" for i in range(40) for word in ("good", "bad")]
    >>> result = distill(open_teacher(teacher, classes=["neg", "pos"]), texts, effort="small")
    >>> result.compiled.predict(["good food", "bad food"]).tolist()
    ['pos', 'neg']
    """
    began = time.perf_counter()
    _check(student, effort, objective, metric, augmentation, max_made, fixed, threads, random_state)
    limit = None if max_size is None else parse_size(max_size)
    asked = KnownAnswers(teacher) if isinstance(teacher, SoftLabels) else _opened(teacher)
    if isinstance(asked, KnownAnswers):
        # What it was not asked about cannot be made up.
        texts, augmentation = asked.soft.texts if texts is None else texts, ()
    if len(asked.classes) < 2 and not asked.multilabel:
        raise InvalidParameterError(f"teacher must know at least two classes; {asked.name} knows {asked.classes!r}.")
    if limit is not None:
        _check_size(limit, asked, student, dtype)
    report = on_progress or (lambda stage, done, total: None)
    metric = metric or ("macro_f1" if asked.multilabel else "accuracy")
    lexicon = _vectors(vectors, student, augmentation)
    spent = _spent(effort, objective)
    material = gather(asked, texts, labelled, dev, spent.transfer, random_state)
    made = make_texts(
        material,
        spent.wanted(len(material.labelled)),
        max_made,
        augmentation,
        lexicon,
        random_state,
        own=spent.own,
        even=metric == "macro_f1",
    )
    pool, teacher_dev = ask(asked, material, made, cache, report)
    n_threads = threads or available_cpus()
    search = Search(
        pool,
        metric,
        lexicon,
        threads=n_threads,
        random_state=random_state,
        on_trial=lambda trial: report("choosing on dev", len(search.trials), None),
        on_epoch=lambda done, total: report("fitting a convolution", done, total),
    )
    own = OBJECTIVES[0] if objective == "auto" else objective
    first = first_recipes(
        effort, multilabel=asked.multilabel, vectors="vectors" in student, bits=_bits(limit), objective=own
    )
    convolutions = spent.convolutions_for(len(asked.classes), limit)
    best = _search(search, _with_fixed(first, fixed), spent, convolutions, student, tuple(fixed or ()))
    report("fitting", 0, 1)
    maker = Maker(pool, metric, lexicon, n_threads, random_state, dtype)
    fitted = maker.fit(best)
    facts = {
        "made_by": "tlclassic.distill",
        "teacher": {"name": asked.name, "digest": asked.digest},
        "texts": pool.counts(),
        "search": {"metric": metric, **best.as_dict()},
    }
    compiled = maker.compile(fitted, limit, {**(provenance or {}), **facts})
    report("fitting", 1, 1)
    return Distilled(
        student=fitted,
        compiled=compiled,
        teacher=asked,
        best=best,
        trials=search.trials,
        pool=pool,
        teacher_dev=teacher_dev,
        metric=metric,
        maker=maker,
        seconds=time.perf_counter() - began,
        notes=material.notes,
    )


def _check(
    student: str,
    effort: str,
    objective: str,
    metric: str | None,
    augmentation: Sequence[str] | None,
    max_made: int | None,
    fixed: Mapping[str, float] | None,
    threads: int | None,
    random_state: int,
) -> None:
    check_choice("student", student, STUDENTS)
    check_choice("effort", effort, tuple(EFFORTS))
    check_choice("objective", objective, (*OBJECTIVES, "auto"))
    check_integer("random_state", random_state, low=0)
    if metric is not None:
        check_choice("metric", metric, METRICS)
    if threads is not None:
        check_integer("threads", threads, low=1)
    if max_made is not None:
        check_integer("max_made", max_made, low=0)
    if isinstance(augmentation, str):
        raise InvalidParameterError(f"augmentation must be a list of names; got {augmentation!r}.")
    for name in augmentation or ():
        check_choice("augmentation", name, tuple(METHODS))
    for name, value in (fixed or {}).items():
        check_choice("fixed", name, _FIXED)
        check_number(name, value, low=0.0)


def _search(
    search: Search,
    first: list[Recipe],
    spent: Effort,
    convolutions: tuple[Convolution, ...],
    student: str,
    keep: tuple[str, ...],
) -> Trial:
    """The best trial of the students that are asked for."""
    if student == "convolution":
        return search.run_convolutions(first[0], convolutions or _ONE)
    best = search.run(first, spent, keep=keep)
    if student != "auto" or not convolutions or best.recipe.objective == "logits":
        return best
    return search.best_of([best, search.run_convolutions(first[0], convolutions)])


def _opened(teacher: Any) -> ProbabilityTeacher | KnownAnswers:
    return teacher if isinstance(teacher, (ProbabilityTeacher, KnownAnswers)) else open_teacher(teacher)


def _vectors(vectors: Any, student: str, augmentation: Sequence[str] | None) -> WordVectors | None:
    wanted = student != "ngrams" or "replace_neighbours" in (augmentation or ())
    if not wanted or (student == "auto" and vectors is None):
        return None
    if vectors is None:
        return load_vectors("base-en")
    return vectors if isinstance(vectors, WordVectors) else WordVectors.load(vectors)


def _spent(effort: str, objective: str) -> Effort:
    spent = EFFORTS[effort]
    return replace(spent, stages=(*spent.stages, {"objective": OBJECTIVES})) if objective == "auto" else spent


def _bits(limit: int | None) -> int:
    return SMALL_BITS if limit is not None and limit < SMALL else BITS


def _check_size(limit: int, teacher: ProbabilityTeacher | KnownAnswers, student: str, dtype: str) -> None:
    """What no student fits into is told before the teacher is asked: a student of two words is compiled."""
    several = teacher.multilabel
    bits = _bits(limit) if student.startswith("ngrams") else _FEWEST_BITS
    model = NgramClassifier(bits=bits, word_ngrams=(1, 1), multilabel=several, max_iter=1)
    P = np.full((2, len(teacher.classes)), 0.5 if several else 1.0 / len(teacher.classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        compile(model.fit(["a", "b"], P, classes=np.asarray(teacher.classes)), dtype=dtype, max_size=limit)


def _with_fixed(recipes: list[Recipe], fixed: Mapping[str, float] | None) -> list[Recipe]:
    changes: dict[str, Any] = dict(fixed or {})
    return [replace(recipe, **changes) for recipe in recipes]
