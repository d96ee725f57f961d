"""Scores by spaCy's own scorer, over the documents that carry the annotation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tlclassic._compat import require

require("spacy", purpose="Scoring a spaCy pipeline")
from spacy.pipeline.dep_parser import parser_score  # noqa: E402
from spacy.scorer import Scorer, get_ner_prf  # noqa: E402

__all__ = [
    "CATS_WEIGHTS", "masked_cats_score", "masked_parser_score", "score_cats", "score_ents", "score_spans", "score_tags",
]  # fmt: skip

#: What counts for the best model of a training run, as spaCy's own categorisers have it.
CATS_WEIGHTS: dict[str, float | None] = {
    "cats_score": 1.0,
    "cats_score_desc": None,
    "cats_micro_p": None,
    "cats_micro_r": None,
    "cats_micro_f": None,
    "cats_macro_p": None,
    "cats_macro_r": None,
    "cats_macro_f": None,
    "cats_macro_auc": None,
    "cats_f_per_type": None,
}


def score_cats(
    examples: Iterable[Any], labels: Sequence[str], multilabel: bool, threshold: float | None, **kwargs: Any
) -> dict[str, Any]:
    """Scores of ``doc.cats``; a document without any says nothing of a model that is trained with others."""
    kept = [example for example in examples if example.reference.cats]
    if not kept:
        return {}
    options = {"threshold": threshold, "labels": labels, "multi_label": multilabel, **kwargs}
    found: dict[str, Any] = Scorer.score_cats(kept, "cats", **options)
    return found


def masked_cats_score(examples: Iterable[Any], **kwargs: Any) -> dict[str, Any]:
    """The scorer of the components that mask missing categories; ``labels`` and ``multi_label`` come from them."""
    labels, multilabel = kwargs.pop("labels"), kwargs.pop("multi_label", False)
    # A positive label is spaCy's way to score two classes; where it is not set it must not be passed on as None.
    options = {name: kwargs[name] for name in ("positive_label",) if kwargs.get(name) is not None}
    return score_cats(examples, labels, multilabel, kwargs.get("threshold") if multilabel else None, **options)


def masked_parser_score(examples: Iterable[Any], **kwargs: Any) -> dict[str, Any]:
    """spaCy's scores of trees, over the documents that have one, and of sentences, over those that have any.

    spaCy's own scorer leaves out a token without a head, and then the tokens at the same place of all documents that
    follow: among documents without trees hardly a word is scored, and attachment scores of 60 % read as 0.1 %.
    """
    kept = list(examples)
    scores: dict[str, Any] = parser_score(kept, **kwargs)
    trees = parser_score([example for example in kept if example.reference.has_annotation("DEP")], **kwargs)
    return {**scores, **{name: value for name, value in trees.items() if name.startswith("dep_")}}


def score_ents(examples: Iterable[Any]) -> dict[str, Any]:
    """Precision, recall and F1 of entities, in all and of each type."""
    found: dict[str, Any] = get_ner_prf(examples)
    return found


def score_spans(examples: Iterable[Any], key: str) -> dict[str, Any]:
    """Precision, recall and F1 of the spans under a key of ``doc.spans``."""
    found: dict[str, Any] = Scorer.score_spans(
        examples,
        f"spans_{key}",
        getter=lambda doc, _: doc.spans.get(key, ()),
        has_annotation=lambda doc: key in doc.spans,
        allow_overlap=True,
        labeled=True,
    )
    return found


def score_tags(examples: Iterable[Any], attribute: str) -> dict[str, Any]:
    """Accuracy of ``token.tag_`` or ``token.pos_``: ``tag_acc`` or ``pos_acc``."""
    found: dict[str, Any] = Scorer.score_token_attr(examples, attribute)
    return found
