"""``tlclassic_masked_textcat`` and a scorer of trees: spaCy's own on corpora that only partly have annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tlclassic._compat import require
from tlclassic.spacy_ext.scoring import CATS_WEIGHTS, masked_cats_score, masked_parser_score

require("spacy", purpose="tlclassic_masked_textcat")
from spacy.language import Language  # noqa: E402
from spacy.pipeline.textcat import DEFAULT_SINGLE_TEXTCAT_MODEL, TextCategorizer  # noqa: E402
from spacy.util import registry  # noqa: E402

__all__ = ["FACTORY", "PARSER_SCORER", "SCORER", "MaskedTextCategorizer", "make_masked_textcat"]

FACTORY = "tlclassic_masked_textcat"
SCORER = "tlclassic.masked_textcat_scorer.v1"
PARSER_SCORER = "tlclassic.masked_parser_scorer.v1"


class MaskedTextCategorizer(TextCategorizer):  # type: ignore[misc]
    """``textcat`` whose loss leaves out what is not annotated.

    spaCy's own takes a missing category for a zero, so that every document without categories teaches that it has none.
    Here a document with a category of 1 is annotated in full, as categories exclude each other; of another only those
    that are written down count; one without categories teaches nothing. Scores are over documents that have any.
    A document without tokens has zeros, whatever stands beside it in its batch.
    """

    @property
    def support_missing_values(self) -> bool:
        """True."""
        return True

    def predict(self, docs: Iterable[Any]) -> Any:
        """The scores of documents, of shape (n, n_labels)."""
        # spaCy's own gives zeros where all are empty; beside others an empty one gets the model's bias, or is refused.
        given: Sequence[Any] = list(docs)
        kept = [place for place, doc in enumerate(given) if len(doc)]
        scores = self.model.ops.alloc2f(len(given), len(self.labels))
        if kept:
            scores[kept] = super().predict([given[place] for place in kept])
        return scores

    def _examples_to_truth(self, examples: Iterable[Any]) -> tuple[Any, Any]:
        kept = list(examples)
        truths, not_missing = super()._examples_to_truth(kept)
        whole = np.array([any(value == 1.0 for value in example.reference.cats.values()) for example in kept], bool)
        not_missing[whole] = 1.0
        return truths, not_missing


@registry.scorers(SCORER)  # type: ignore[untyped-decorator]
def make_masked_scorer() -> Callable[..., dict[str, Any]]:
    """The scorer of :class:`MaskedTextCategorizer`."""
    return masked_cats_score


@registry.scorers(PARSER_SCORER)  # type: ignore[untyped-decorator]
def make_masked_parser_scorer() -> Callable[..., dict[str, Any]]:
    """A scorer for spaCy's parser where not every document has a tree."""
    return masked_parser_score


@Language.factory(  # type: ignore[untyped-decorator]
    FACTORY,
    assigns=["doc.cats"],
    default_config={
        "threshold": 0.0,
        "model": DEFAULT_SINGLE_TEXTCAT_MODEL,
        "scorer": {"@scorers": SCORER},
    },
    default_score_weights=CATS_WEIGHTS,
)
def make_masked_textcat(
    nlp: Language, name: str, model: Any, threshold: float, scorer: Callable[..., Any] | None
) -> MaskedTextCategorizer:
    """The factory of :class:`MaskedTextCategorizer`."""
    return MaskedTextCategorizer(nlp.vocab, model, name, threshold=threshold, scorer=scorer)
