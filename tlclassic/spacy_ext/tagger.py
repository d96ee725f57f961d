"""``tlclassic_tagger``: a token tagger as a component of a spaCy pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tlclassic._compat import require
from tlclassic.errors import InvalidParameterError
from tlclassic.spacy_ext.component import ModelComponent
from tlclassic.spacy_ext.scoring import score_cats, score_ents, score_spans, score_tags
from tlclassic.tagging import CompiledTagger
from tlclassic.tagging.schemes import entities

require("spacy", purpose="tlclassic_tagger")
from spacy.language import Language  # noqa: E402
from spacy.tokens import Span  # noqa: E402

__all__ = ["FACTORY", "TaggerComponent", "make_tagger"]

FACTORY = "tlclassic_tagger"
#: Where a task's tags go, besides "spans:KEY".
TARGETS = ("ents", "tag", "pos", "cats")
_SPANS = "spans:"


class _Sentence(NamedTuple):
    doc: int
    #: Places of its tokens in the document; those of white space are left out.
    tokens: list[int]
    words: list[str]


class TaggerComponent(ModelComponent):
    """Entities or slots into ``doc.ents`` or ``doc.spans``, tags into ``token.tag_`` or ``token.pos_``.

    Sentences are those of the document where it has any (put the component behind a parser or a sentencizer), else the
    document is one. Tokens of white space are not shown to the tagger, and get no tag. Made by
    ``nlp.add_pipe("tlclassic_tagger", config={"model": path})``.

    Parameters
    ----------
    vocab : Vocab
    name : str
    model : path-like
        A :class:`~tlclassic.TokenTagger` that was saved, compiled or not; one without ``states``.
    store : {"embed", "refer"}, default "embed"
    targets : dict of str to str, optional
        Task → "ents", "tag", "pos", "spans:KEY" or, for labels of a sentence, "cats" (the document has those of its
        first sentence). By default tags that mark entities go to "ents", the tasks "upos" and "pos" to "pos", others
        to "tag", labels to "cats".
    overwrite : bool, default True
        Whether entities that the document has already give way to overlapping new ones; else the new ones do.
    """

    _without_model = "there is none. Set it in the config to a tagger saved by tlclassic"

    def __init__(
        self,
        vocab: Any,
        name: str = FACTORY,
        *,
        model: str | os.PathLike[str] | None = None,
        store: str = "embed",
        targets: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        chosen = dict(targets or {})
        for task, target in chosen.items():
            if target not in TARGETS and not (target.startswith(_SPANS) and len(target) > len(_SPANS)):
                raise InvalidParameterError(
                    f"targets[{task!r}] must be one of {', '.join(map(repr, TARGETS))} or 'spans:KEY'; got {target!r}."
                )
        super().__init__(vocab, name, model, store, {"targets": chosen, "overwrite": bool(overwrite)})

    def _open(self, path: Path) -> CompiledTagger:
        tagger = CompiledTagger.load(path)
        if tagger.model_.width:
            raise InvalidParameterError(
                f"model must be a tagger without states; {path} needs {tagger.model_.width} numbers of each "
                "token. Train one without, or use the encoder as the pipeline's backbone (tlclassic.OnnxTok2Vec.v1)."
            )
        known = {task.name for task in tagger.tasks_}
        unknown = sorted(set(self.cfg["targets"]) - known)
        if unknown:
            raise InvalidParameterError(f"targets must name tasks of the tagger ({sorted(known)}); got {unknown}.")
        return tagger

    def targets(self) -> dict[str, str]:
        """Where each task's tags go."""
        return {task.name: self.cfg["targets"].get(task.name) or _target(task) for task in self.opened.tasks_}

    @property
    def labels(self) -> tuple[str, ...]:
        """All tags' labels, without the letters that mark begin and inside."""
        if not self._can_tell:
            return ()
        found: dict[str, None] = {}
        for task in self.opened.tasks_:
            for label in task.classes:
                name = str(label)
                if task.scheme != "none":
                    name = name[2:]
                if name:
                    found[name] = None
        return tuple(found)

    # -- annotating --------------------------------------------------------------------------------------------------

    def predict(self, docs: Sequence[Any]) -> tuple[list[_Sentence], dict[str, list[Any]]]:
        """The sentences of all documents, and each task's tags or labels of them."""
        sentences = [sentence for number, doc in enumerate(docs) for sentence in _sentences(number, doc)]
        tagger = self.opened
        found = tagger.predict([sentence.words for sentence in sentences])
        return sentences, found if isinstance(found, dict) else {tagger.tasks_[0].name: found}

    def set_annotations(self, docs: Sequence[Any], predictions: Any) -> None:
        """Write what :meth:`predict` gave."""
        sentences, found = predictions
        for task, target in self.targets().items():
            rows = found[task]
            if target == "cats":
                self._set_cats(docs, sentences, task, rows)
            elif target in ("tag", "pos"):
                _set_tags(docs, sentences, rows, f"{target}_")
            else:
                self._set_entities(docs, sentences, rows, target)

    def _set_entities(self, docs: Sequence[Any], sentences: list[_Sentence], rows: list[Any], target: str) -> None:
        spans: list[list[Any]] = [[] for _ in docs]
        for sentence, tags in zip(sentences, rows, strict=True):
            doc, places = docs[sentence.doc], sentence.tokens
            spans[sentence.doc] += [
                Span(doc, places[first], places[last - 1] + 1, label=kind) for kind, first, last in entities(tags)
            ]
        for doc, new in zip(docs, spans, strict=True):
            if target != "ents":
                doc.spans[target.removeprefix(_SPANS)] = new
            elif not doc.ents:
                doc.set_ents(new)
            else:
                first, second = (new, doc.ents) if self.cfg["overwrite"] else (doc.ents, new)
                doc.set_ents(_without_overlap(first, second))

    def _set_cats(self, docs: Sequence[Any], sentences: list[_Sentence], task: str, rows: list[Any]) -> None:
        classes = next(one.classes for one in self.opened.tasks_ if one.name == task)
        seen: set[int] = set()
        for sentence, given in zip(sentences, rows, strict=True):
            if sentence.doc not in seen:
                seen.add(sentence.doc)
                chosen = set(given) if isinstance(given, (list, tuple, set)) else {given}
                doc = docs[sentence.doc]
                doc.cats = {**doc.cats, **{str(name): float(name in chosen) for name in classes}}

    def score(self, examples: Iterable[Any], **kwargs: Any) -> dict[str, Any]:
        """spaCy's scores of whatever the tasks write."""
        kept = list(examples)
        scores: dict[str, Any] = {}
        for task in self.opened.tasks_:
            target = self.targets()[task.name]
            if target == "ents":
                scores |= score_ents(kept)
            elif target == "cats":
                names = tuple(map(str, task.classes))
                scores |= score_cats(kept, names, task.kind == "labels", None)
            elif target in ("tag", "pos"):
                scores |= score_tags(kept, target)
            else:
                scores |= score_spans(kept, target.removeprefix(_SPANS))
        return scores


def _target(task: Any) -> str:
    if task.kind != "tags":
        return "cats"
    if task.scheme != "none":
        return "ents"
    return "pos" if task.name in ("upos", "pos") else "tag"


def _sentences(number: int, doc: Any) -> Iterator[_Sentence]:
    pieces = doc.sents if doc.has_annotation("SENT_START") else (doc,)
    for piece in pieces:
        held = [(token.i, token.text) for token in piece if not token.is_space]
        if held:
            yield _Sentence(number, [place for place, _ in held], [text for _, text in held])


def _set_tags(docs: Sequence[Any], sentences: list[_Sentence], rows: list[Any], attribute: str) -> None:
    for sentence, tags in zip(sentences, rows, strict=True):
        doc = docs[sentence.doc]
        for place, tag in zip(sentence.tokens, tags, strict=True):
            setattr(doc[place], attribute, str(tag))


def _without_overlap(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """All of ``first``, and of ``second`` what shares no token with it."""
    taken = {place for span in first for place in range(span.start, span.end)}
    return [*first, *(span for span in second if taken.isdisjoint(range(span.start, span.end)))]


@Language.factory(  # type: ignore[untyped-decorator]
    FACTORY,
    assigns=["doc.ents", "doc.spans", "doc.cats", "token.ent_iob", "token.ent_type", "token.tag", "token.pos"],
    default_config={"model": None, "store": "embed", "targets": {}, "overwrite": True},
    default_score_weights={
        "ents_f": 1.0,
        "ents_p": 0.0,
        "ents_r": 0.0,
        "ents_per_type": None,
        "tag_acc": None,
        "pos_acc": None,
    },
)
def make_tagger(
    nlp: Language, name: str, model: str | None, store: str, targets: dict[str, str], overwrite: bool
) -> TaggerComponent:
    """The factory of :class:`TaggerComponent`."""
    return TaggerComponent(nlp.vocab, name, model=model, store=store, targets=targets, overwrite=overwrite)
