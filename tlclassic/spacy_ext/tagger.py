"""``tlclassic_tagger``: a token tagger as a component of a spaCy pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tlclassic._compat import require
from tlclassic.errors import InvalidParameterError
from tlclassic.spacy_ext.component import ModelComponent
from tlclassic.spacy_ext.scoring import score_cats, score_ents, score_spans, score_tags
from tlclassic.spacy_ext.stored_encoder import StoredEncoder
from tlclassic.tagging import CompiledTagger, EncoderStates
from tlclassic.tagging.schemes import entities

require("spacy", purpose="tlclassic_tagger")
import srsly  # noqa: E402
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
        A :class:`~tlclassic.TokenTagger` that was saved, compiled or not.
    store : {"embed", "refer"}, default "embed"
        Whether a saved pipeline holds tagger and encoder, or their paths and digests.
    encoder : path-like or None
        Of a tagger that was trained with the token states of an ONNX encoder: the encoder's folder.
    encoder_file : str, default "auto"
        Which of the encoder's graphs: "fp32", "int8", "auto" or a path in the folder.
    threads : int or None, default None
        Of the encoder; None: as many as the process may use processors.
    targets : dict of str to str, optional
        Task → "ents", "tag", "pos", "spans:KEY" or, for labels of a sentence, "cats" (the document has those of its
        first sentence). By default tags that mark entities go to "ents", the tasks "upos" and "pos" to "pos", others
        to "tag", labels to "cats".
    overwrite : bool, default True
        Whether entities that the document has already give way to overlapping new ones; else the new ones do.
    """

    _without_model = "there is none. Set it in the config to a tagger saved by tlclassic"
    _encoder: StoredEncoder | None = None

    def __init__(
        self,
        vocab: Any,
        name: str = FACTORY,
        *,
        model: str | os.PathLike[str] | None = None,
        store: str = "embed",
        targets: Mapping[str, str] | None = None,
        overwrite: bool = True,
        encoder: str | os.PathLike[str] | None = None,
        encoder_file: str = "auto",
        threads: int | None = None,
    ) -> None:
        chosen = dict(targets or {})
        for task, target in chosen.items():
            if target not in TARGETS and not (target.startswith(_SPANS) and len(target) > len(_SPANS)):
                raise InvalidParameterError(
                    f"targets[{task!r}] must be one of {', '.join(map(repr, TARGETS))} or 'spans:KEY'; got {target!r}."
                )
        cfg = {"targets": chosen, "overwrite": bool(overwrite), "threads": threads}
        super().__init__(vocab, name, model, store, cfg)
        if encoder is not None:
            self._encoder = StoredEncoder(encoder, file=encoder_file, store=store, parameter="encoder")

    def _open(self, path: Path) -> CompiledTagger:
        tagger = CompiledTagger.load(path, states=self._states())
        _check_width(tagger, path)
        known = {task.name for task in tagger.tasks_}
        unknown = sorted(set(self.cfg["targets"]) - known)
        if unknown:
            raise InvalidParameterError(f"targets must name tasks of the tagger ({sorted(known)}); got {unknown}.")
        return tagger

    def _states(self) -> EncoderStates | None:
        if self._encoder is None:
            return None
        self._encoder.threads = self.cfg.get("threads")
        return EncoderStates(self._encoder.encoder)

    @property
    def _can_tell(self) -> bool:
        here = self._encoder is None or self._encoder.can_open
        return self._opened is not None or (here and super()._can_tell)

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

    # -- saving ------------------------------------------------------------------------------------------------------

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The component as bytes; tagger and encoder are with it unless ``store`` is "refer"."""
        tagger = super().to_bytes(exclude=exclude)
        if self._encoder is None:
            return tagger
        facts, files = self._encoder.state()
        held = {"tagger": tagger, "encoder": json.dumps(facts, sort_keys=True), "files": files}
        raw: bytes = srsly.msgpack_dumps(held)
        return raw

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """The inverse of :meth:`to_bytes`."""
        held = srsly.msgpack_loads(bytes_data)
        self._encoder = None
        if "tagger" not in held:
            return super().from_bytes(bytes_data, exclude=exclude)
        super().from_bytes(held["tagger"], exclude=exclude)
        self._encoder = StoredEncoder(None, parameter="encoder")
        self._encoder.take(self.store, json.loads(held["encoder"]), held["files"])
        return self

    def to_disk(self, path: str | os.PathLike[str], *, exclude: Iterable[str] = ()) -> None:
        """Write the component into the folder ``path``; tagger and encoder are with it unless ``store`` is "refer"."""
        super().to_disk(path, exclude=exclude)
        StoredEncoder.clear(Path(path))
        if self._encoder is not None:
            self._encoder.to_disk(Path(path))

    def from_disk(self, path: str | os.PathLike[str], *, exclude: Iterable[str] = ()) -> Self:
        """The inverse of :meth:`to_disk`."""
        # First, since the tagger is opened with its encoder.
        self._encoder = None
        if StoredEncoder.lies_in(Path(path)):
            self._encoder = StoredEncoder(None, parameter="encoder")
            self._encoder.from_disk(Path(path))
        return super().from_disk(path, exclude=exclude)

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


def _check_width(tagger: CompiledTagger, path: Path) -> None:
    """Raise unless the tagger has the states that it was trained with, if any."""
    wanted = tagger.model_.width
    if tagger.states is None:
        if wanted:
            raise InvalidParameterError(
                f"encoder must be given: {path} was trained with {wanted} numbers of each token. Set it in the config "
                "to the folder of the encoder that it was trained with."
            )
        return
    if not wanted:
        raise InvalidParameterError(
            f"encoder must be left out: {path} was trained without states of tokens. Leave it out, or train the "
            "tagger with it: tlclassic tag train --encoder"
        )
    width = tagger.states([["a"]])[0].shape[1]
    if width != wanted:
        raise InvalidParameterError(
            f"encoder must give {wanted} numbers of each token, as {path} was trained with; it gives {width}. Give the "
            "folder of the encoder that the tagger was trained with."
        )


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
    default_config={
        "model": None,
        "store": "embed",
        "targets": {},
        "overwrite": True,
        "encoder": None,
        "encoder_file": "auto",
        "threads": None,
    },
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
    nlp: Language,
    name: str,
    model: str | None,
    store: str,
    targets: dict[str, str],
    overwrite: bool,
    encoder: str | None,
    encoder_file: str,
    threads: int | None,
) -> TaggerComponent:
    """The factory of :class:`TaggerComponent`."""
    return TaggerComponent(
        nlp.vocab, name, model=model, store=store, targets=targets, overwrite=overwrite, encoder=encoder,
        encoder_file=encoder_file, threads=threads,
    )  # fmt: skip
