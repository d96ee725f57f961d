"""Transfer text made from few texts: one small function for each way, and :func:`augment`, which takes them in turn.

# Design: a way is a function ``(text, material, random) -> str``; "" where it can make nothing of the text. Words are
# found by their offsets, so that what is not changed keeps its case, its punctuation and its spaces. What is made need
# not be good language, and has no label: the teacher is asked what it thinks of it.
"""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from random import Random

from tlclassic._validate import check_choice, check_integer, check_texts
from tlclassic.distillation.neighbours import nearest_words
from tlclassic.errors import InvalidParameterError
from tlclassic.text import Span, Tokenizer
from tlclassic.vectors import WordVectors, load_vectors

__all__ = [
    "MASK",
    "METHODS",
    "Material",
    "augment",
    "cut_clauses",
    "drop_tokens",
    "mask_tokens",
    "mix_halves",
    "replace_neighbours",
    "sample_ngrams",
    "splice_texts",
]

#: A word of its own for every tokeniser: it keeps the words beside it from making n-grams that the text did not have,
#: and the n-grams that hold it occur in no real text, so that nothing false is learnt about either.
MASK = "_"
#: Shares of the words that are changed: Wei and Zou 2019 drop 0.1 to 0.2, Jiao et al. 2020 replace 0.4, Tang et al.
#: 2019 mask 0.1.
DROPPED, MASKED, REPLACED = 0.15, 0.15, 0.4
#: The longest n-gram of Tang et al. 2019.
LONGEST_NGRAM = 5
#: Characters of a longer text are taken from a window at a random place, so that a book costs no more than a letter.
WINDOW = 20_000
#: A way is given up after so many tries in a row that made nothing new.
PATIENCE = 200
#: Characters of texts whose words are looked up for a seam, at most (of more texts every second, third, ...), and the
#: tries to find one.
SPLICED, SEAMS = 20_000_000, 8

_CLOSING = "\"'”’»›）)\\]」』】"
#: Ends of sentences: before white space, closing quotes included; those of scripts without spaces anywhere; line ends.
#: What is cut out is stripped, so that no rule looks for white space from every place of a long run of it.
_SENTENCE = re.compile(rf"(?<=[.!?…‽؟۔।॥።፧։])[{_CLOSING}]*\s|(?<=[。！？｡])[{_CLOSING}]*|[\r\n\u2028\u2029]")
#: And of clauses: commas, semicolons, colons, dashes, parentheses.
_CLAUSE = re.compile(rf"(?:{_SENTENCE.pattern})|(?<=[,;:،؛])\s|(?<=[、，；：])|(?<=\s)[-–]+\s|—|[()\[\]（）]")


class Material:
    """What the ways need beside a text.

    Parameters
    ----------
    texts : sequence of str
        All of them.
    vectors : WordVectors, optional
        Whose neighbours replace words; by default the packaged ones, opened when they are needed.
    """

    def __init__(self, texts: Sequence[str], vectors: WordVectors | None = None) -> None:
        self.texts = texts
        self._vectors = vectors
        # Half a contraction makes no sense beside another word.
        self._tokenizer = Tokenizer(contractions="keep")

    def spans(self, text: str) -> list[Span]:
        """The words of ``text`` with their places, in order and apart from each other."""
        found: list[Span] = []
        for span in self._tokenizer.spans(text):
            if not found or span.start >= found[-1].end:
                found.append(span)
        return found

    @cached_property
    def neighbours(self) -> Mapping[str, list[str]]:
        """The nearest words of each word in the texts."""
        return nearest_words(self.texts, load_vectors("base-en") if self._vectors is None else self._vectors)

    @cached_property
    def occurrences(self) -> Mapping[str, array[int]]:
        """Where each word ends in which text: the text's number times ``WINDOW``, and the place in its first window."""
        found: dict[str, array[int]] = {}
        every = max(1, -(-sum(min(len(text), WINDOW) for text in self.texts) // SPLICED))
        for row in range(0, len(self.texts), every):
            for span in self.spans(self.texts[row][:WINDOW]):
                found.setdefault(span.text, array("q")).append(row * WINDOW + span.end - 1)
        return found


Method = Callable[[str, Material, Random], str]


def augment(
    texts: Sequence[str],
    n: int,
    *,
    methods: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    random_state: int = 0,
    vectors: WordVectors | None = None,
) -> Iterator[str]:
    """Yield up to ``n`` new texts made from ``texts``, by each of ``methods`` in turn.

    Parameters
    ----------
    texts : sequence of str
    n : int
    methods : sequence of str, optional
        Names in ``METHODS``; all by default.
    weights : sequence of float, optional
        How often each text is drawn beside the others; all alike by default.
    random_state : int
        The same seed and texts give the same new texts.
    vectors : WordVectors, optional
        For ``"replace_neighbours"``; the packaged ``base-en`` by default.

    Yields
    ------
    str
        Never blank, nor one of ``texts``, nor the same twice. Fewer than ``n`` where the texts give no more: a way
        that makes nothing new 200 times in a row is given up.

    Raises
    ------
    InvalidParameterError

    Examples
    --------
    >>> list(augment(["Not a bad film, all in all."], 2, methods=["cut_clauses", "drop_tokens"]))
    ['Not a bad film,', 'Not bad film, all in all.']
    """
    texts = list(check_texts(texts))
    if weights is not None and len(weights) != len(texts):
        raise InvalidParameterError(f"weights must be as many as texts; got {len(weights)} and {len(texts)}.")
    kept = [row for row, text in enumerate(texts) if text.strip() and (weights is None or weights[row] > 0)]
    cumulative = None if weights is None else list(itertools.accumulate(float(weights[row]) for row in kept))
    texts = [texts[row].strip() for row in kept]
    check_integer("n", n, low=0)
    check_integer("random_state", random_state)
    names = list(METHODS) if methods is None else methods
    if isinstance(names, str) or not names or len(set(names)) != len(names):
        raise InvalidParameterError(f"methods must be a list of different names; got {methods!r}.")
    for name in names:
        check_choice("methods", name, METHODS)
    return _made(texts, n, [METHODS[name] for name in names], Random(random_state), vectors, cumulative)


def _made(
    texts: list[str],
    n: int,
    methods: list[Method],
    random: Random,
    vectors: WordVectors | None,
    cumulative: list[float] | None,
) -> Iterator[str]:
    material = Material(texts, vectors)
    seen, done = set(texts), 0
    failures = dict.fromkeys(methods, 0)
    while texts and failures and done < n:
        for method in list(failures):
            drawn = random.choice(texts) if cumulative is None else random.choices(texts, cum_weights=cumulative)[0]
            text = _window(drawn, random)
            made = method(text, material, random).strip()
            if not made or made in seen:
                failures[method] += 1
                if failures[method] >= PATIENCE:
                    del failures[method]
                continue
            failures[method] = 0
            seen.add(made)
            yield made
            done += 1
            if done == n:
                return


# -- the ways --------------------------------------------------------------------------------------------------------


def drop_tokens(text: str, material: Material, random: Random) -> str:
    """Some words left out: Iyyer et al. 2015 (https://aclanthology.org/P15-1162).

    Also Wei and Zou 2019, https://arxiv.org/abs/1901.11196.
    """
    spans = material.spans(text)
    if len(spans) < 2:
        return ""
    pieces = []
    for span in _some(spans, DROPPED, random):
        end = span.end
        # One of the spaces around the word goes with it.
        while end < len(text) and text[end].isspace() and (span.start == 0 or text[span.start - 1].isspace()):
            end += 1
        pieces.append((span.start, end, ""))
    return _changed(text, pieces)


def mask_tokens(text: str, material: Material, random: Random) -> str:
    """Some words hidden behind :data:`MASK`: Tang et al. 2019 (https://arxiv.org/abs/1903.12136)."""
    spans = material.spans(text)
    if len(spans) < 2:
        return ""
    pieces = []
    for span in _some(spans, MASKED, random):
        before = "" if span.start == 0 or text[span.start - 1].isspace() else " "
        after = "" if span.end == len(text) or text[span.end].isspace() else " "
        pieces.append((span.start, span.end, before + MASK + after))
    return _changed(text, pieces)


def sample_ngrams(text: str, material: Material, random: Random) -> str:
    """One to five words that stand together: Tang et al. 2019 (https://arxiv.org/abs/1903.12136)."""
    spans = material.spans(text)
    if len(spans) < 2:
        return ""
    length = random.randint(1, min(LONGEST_NGRAM, len(spans) - 1))
    first = random.randrange(len(spans) - length + 1)
    return text[spans[first].start : spans[first + length - 1].end]


def replace_neighbours(text: str, material: Material, random: Random) -> str:
    """Some words replaced by near ones: TinyBERT, Jiao et al. 2020 (https://aclanthology.org/2020.findings-emnlp.372).

    There a masked language model gives the substitutes of words that are one piece, here word vectors give all.
    """
    known = [span for span in material.spans(text) if span.text in material.neighbours]
    pieces = [
        (span.start, span.end, _cased_like(text[span.start : span.end], random.choice(material.neighbours[span.text])))
        for span in _some(known, REPLACED, random, all_too=True)
    ]
    return _changed(text, pieces)


def cut_clauses(text: str, material: Material, random: Random) -> str:
    """One or two sentences or clauses that stand together, as the phrases of Socher et al. 2013 are parts of sentences.

    https://aclanthology.org/D13-1170. Cut at punctuation of any script; abbreviations are not known.
    """
    rule = _SENTENCE if random.random() < 0.5 else _CLAUSE
    bounds = [0, *itertools.chain.from_iterable(match.span() for match in rule.finditer(text)), len(text)]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    parts = [(start, end) for start, end in pairs if text[start:end].strip()]
    if len(parts) < 2:
        return ""
    length = random.randint(1, min(2, len(parts) - 1))
    first = random.randrange(len(parts) - length + 1)
    cut = text[parts[first][0] : parts[first + length - 1][1]]
    return cut if len(material.spans(cut)) > 1 else ""


def mix_halves(text: str, material: Material, random: Random) -> str:
    """The first half of a text and the second of another: Luque 2019 (https://arxiv.org/abs/1909.11241)."""
    other = _window(random.choice(material.texts), random)
    first, second = material.spans(text), material.spans(other)
    if len(first) < 2 or len(second) < 2:
        return ""
    return text[: first[len(first) // 2].start].rstrip() + " " + other[second[len(second) // 2].start :]


def splice_texts(text: str, material: Material, random: Random) -> str:
    """The beginning of a text up to one of its words, and what follows that word in another text.

    Single-point crossover at a word that both have, so that the words beside the seam have stood together: what is made
    reads like a text, unlike halves that are put together anywhere (:func:`mix_halves`).
    """
    spans = material.spans(text)
    for _ in range(SEAMS if len(spans) > 1 else 0):
        seam = spans[random.randrange(1, len(spans))]
        others = material.occurrences.get(seam.text)
        if not others:
            continue
        row, last = divmod(random.choice(others), WINDOW)
        tail = material.texts[row][last + 1 : WINDOW]
        if tail.strip() and (made := text[: seam.end] + tail) != text:
            return made
    return ""


#: The ways by their names.
METHODS: dict[str, Method] = {
    method.__name__: method
    for method in (
        splice_texts,
        drop_tokens,
        mask_tokens,
        sample_ngrams,
        replace_neighbours,
        cut_clauses,
        mix_halves,
    )
}


# -- parts -----------------------------------------------------------------------------------------------------------


def _some(spans: list[Span], share: float, random: Random, *, all_too: bool = False) -> list[Span]:
    """About ``share`` of the spans, in order: one at least, and not all of them unless ``all_too``."""
    if not spans:
        return []
    chosen = [i for i in range(len(spans)) if random.random() < share] or [random.randrange(len(spans))]
    if len(chosen) == len(spans) and not all_too:
        chosen.pop(random.randrange(len(chosen)))
    return [spans[i] for i in chosen]


def _changed(text: str, pieces: list[tuple[int, int, str]]) -> str:
    """``text`` with other characters from ``start`` to ``end`` of each piece; the pieces are in order."""
    parts, at = [], 0
    for start, end, new in pieces:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def _cased_like(word: str, new: str) -> str:
    if word.isupper() and len(word) > 1:
        return new.upper()
    return new[:1].upper() + new[1:] if word[:1].isupper() else new


def _window(text: str, random: Random) -> str:
    """The text, or of a long one a part that begins and ends between words where it has spaces."""
    if len(text) <= WINDOW:
        return text
    start = random.randrange(len(text) - WINDOW + 1)
    part = text[start : start + WINDOW]
    inner = part.partition(" ")[2].rpartition(" ")[0]
    return inner or part
