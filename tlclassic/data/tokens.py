"""`load_tokens`: sentences as tokens with tags, from CoNLL, CoNLL-U, JSONL and spaCy's DocBin."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic.data.batches import suffix_of_name
from tlclassic.data.jsonl import jsonl_rows
from tlclassic.data.rows import Wanted, shorten
from tlclassic.data.source import Source, open_source
from tlclassic.errors import DataFormatError, InvalidParameterError

__all__ = ["TOKEN_FORMATS", "TokenDataset", "load_tokens"]

#: Formats of :func:`load_tokens`.
TOKEN_FORMATS = ("conll", "conllu", "jsonl", "docbin")
#: Columns of CoNLL-U, https://universaldependencies.org/format.html.
_CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_SUFFIXES = {
    ".conll": "conll", ".bio": "conll", ".iob": "conll", ".txt": "conll", ".tsv": "conll",
    ".conllu": "conllu", ".jsonl": "jsonl", ".ndjson": "jsonl", ".spacy": "docbin",
}  # fmt: skip
#: A comment as CoNLL-U has them, and as ``tlclassic tag predict`` writes labels of sentences.
_COMMENT = re.compile(r"# ?[^\s=]+ = ")
#: What is read where no columns are named.
_DEFAULTS = {"conll": ("tags",), "conllu": ("upos",), "docbin": ("ner",), "jsonl": ("tags",)}


@dataclass
class TokenDataset:
    """Sentences with what is said of their tokens and of each as a whole.

    Attributes
    ----------
    sentences : list of list of str
    columns : dict
        Name → for each sentence the list of its tokens' tags, or one label of the sentence.
    lines : list of int
        1-based line of each sentence's first token (object in JSONL, document in a DocBin).
    """

    sentences: list[list[str]] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sentences)


def load_tokens(
    source: str | os.PathLike[str],
    *,
    format: str | None = None,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    tokens: str = "tokens",
) -> TokenDataset:
    """Load the sentences of a file.

    Parameters
    ----------
    source : path-like
        Plain or packed (gz, bz2, xz, zst); ``"-"`` for standard input.
    format : {"conll", "conllu", "jsonl", "docbin"}, optional
        Told by the name when left out.
    columns : sequence of str, optional
        What to read besides the tokens. CoNLL: of ``names``; CoNLL-U: its fields, by default ``upos``; JSONL: keys that
        hold a list with a tag for each token, or one label of the sentence, by default ``tags``; DocBin: ``ner``
        (entities as IOB2), ``pos``, ``tag``, ``morph``, ``dep``, by default ``ner``. An empty list: the tokens alone.
    names : sequence of str, optional
        CoNLL: the names of its columns, ``token`` among them; by default the first is ``token`` and the last ``tags``.
    tokens : str
        JSONL: the key of the tokens.

    Raises
    ------
    DataFormatError
        For a row that lacks a column, tags that are not as many as the tokens, a file without a sentence; with file and
        line.
    MissingExtraError
        For a DocBin where spaCy is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.conll")
    >>> _ = path.write_text("Anna\\tB-PER\\nsleeps\\tO\\n\\nStop\\tO\\n")
    >>> data = load_tokens(path)
    >>> data.sentences, data.columns["tags"]
    ([['Anna', 'sleeps'], ['Stop']], [['B-PER', 'O'], ['O']])
    """
    if format is not None:
        check_choice("format", format, TOKEN_FORMATS)
    if isinstance(columns, str):
        raise InvalidParameterError(f"columns must be a list of names; got {columns!r}. Pass [{columns!r}].")
    kind = format or _format_of(source)
    wanted = tuple(_DEFAULTS[kind] if columns is None else columns)
    if len(set(wanted)) != len(wanted):
        raise InvalidParameterError(f"columns must differ; got {list(wanted)!r}.")
    data = TokenDataset(columns={name: [] for name in wanted})
    if kind == "docbin":
        _read_docbin(source, data)
    else:
        with open_source(source) as opened:
            if kind == "jsonl":
                _read_jsonl(opened, data, tokens)
            else:
                _read_rows(opened, data, kind, names)
    if not data.sentences:
        raise DataFormatError("there is no sentence in the file", path=os.fspath(source), remedy="Check its format")
    return data


def _format_of(source: str | os.PathLike[str]) -> str:
    kind = _SUFFIXES.get(suffix_of_name(source))
    if kind is None:
        raise InvalidParameterError(
            f"format must be given for a file of this name ({os.fspath(source)!r}): one of {', '.join(TOKEN_FORMATS)}."
        )
    return kind


# --- columns ---------------------------------------------------------------------------------------------------------


def _read_rows(source: Source, data: TokenDataset, kind: str, names: Sequence[str] | None) -> None:
    """CoNLL and CoNLL-U: a token a line, an empty line behind each sentence."""
    places: list[int] | None = None
    is_last_known = kind == "conllu" or names is not None or not data.columns
    n_cells = 0
    for rows in _sentences(source, kind):
        if places is None:
            line, cells = rows[0]
            n_cells = len(cells)
            places = _places(source, list(data.columns), kind, names, n_cells, line)
        for line, cells in rows:
            least = max(places) + 1
            if len(cells) < least or (not is_last_known and len(cells) != n_cells):
                expected = f"at least {least}" if len(cells) < least else str(n_cells)
                message = f"{len(cells)} columns, expected {expected}: {shorten(' '.join(cells))}"
                raise source.error(message, line=line, remedy="Give each token a line with all columns")
        data.lines.append(rows[0][0])
        data.sentences.append([cells[places[0]] for _, cells in rows])
        for values, place in zip(data.columns.values(), places[1:], strict=True):
            values.append([cells[place] for _, cells in rows])


def _sentences(source: Source, kind: str) -> Iterator[list[tuple[int, list[str]]]]:
    """The rows of each sentence, with their lines; what is no token is left out."""
    pick = _words if kind == "conllu" else _tokens
    lines: list[tuple[int, str]] = []
    for line, text, _ in source.lines():
        if text.strip():
            lines.append((line, text))
            continue
        if rows := pick(lines):
            yield rows
        lines = []
    if rows := pick(lines):
        yield rows


def _words(lines: list[tuple[int, str]]) -> list[tuple[int, list[str]]]:
    """CoNLL-U without comments, words of several tokens, and nodes that are not in the text."""
    rows = [(line, text.split("\t")) for line, text in lines if not text.startswith("#")]
    return [(line, cells) for line, cells in rows if "-" not in cells[0] and "." not in cells[0]]


def _tokens(lines: list[tuple[int, str]]) -> list[tuple[int, list[str]]]:
    """CoNLL without -DOCSTART- and the comments before a sentence."""
    lines = [(line, text.rstrip(" \t")) for line, text in lines]
    while lines and _is_comment(lines[0][1], lines[-1][1]):
        del lines[0]
    rows = [(line, _cells(text)) for line, text in lines]
    return [(line, cells) for line, cells in rows if cells[0] != "-DOCSTART-"]


def _cells(text: str) -> list[str]:
    # At blanks and tabs alone: a token may hold a no-break space.
    return text.split("\t") if "\t" in text else [cell for cell in text.split(" ") if cell]


def _is_comment(text: str, last: str) -> bool:
    """Whether a line before a sentence is no token such as ``#`` or ``#tag``; ``last`` is the sentence's last line."""
    if not text.startswith("#"):
        return False
    cells = _cells(text)
    if _COMMENT.match(text) or cells[0].startswith("# "):
        return True
    if text is last:  # nothing but comments, or a sentence of one token
        return cells[0] == "#" and len(cells) > 2
    return len(cells) > 1 and (("\t" in text) != ("\t" in last) or len(cells) != len(_cells(last)))


def _places(
    source: Source, wanted: list[str], kind: str, names: Sequence[str] | None, n_cells: int, line: int
) -> list[int]:
    """Where the tokens, then the wanted columns stand."""
    if kind == "conllu":
        known = list(_CONLLU)
        known[1] = "token"
    elif names is None:
        known = ["token", *[""] * (n_cells - 2), "tags"] if n_cells > 1 else ["token"]
    else:
        known = list(names)
    for name in ("token", *wanted):
        if name not in known:
            shown = ", ".join(repr(other) for other in known if other)
            raise source.error(
                f"no column {name!r}; the columns are: {shown}", line=line, remedy="Name the columns of the file"
            )
    return [known.index(name) for name in ("token", *wanted)]


# --- objects ---------------------------------------------------------------------------------------------------------


def _read_jsonl(source: Source, data: TokenDataset, tokens: str) -> None:
    for line, (words, *values) in jsonl_rows(source, Wanted(required=(tokens,), nullable=tuple(data.columns))):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            message = f"{tokens!r} must be a list of strings, got {shorten(words)}"
            raise source.error(message, line=line, remedy="Split the text into tokens first")
        data.sentences.append(words)
        data.lines.append(line)
        for (name, column), value in zip(data.columns.items(), values, strict=True):
            if isinstance(value, list) and len(value) != len(words):
                message = f"{name!r} holds {len(value)} tags for {len(words)} tokens"
                raise source.error(message, line=line, remedy="Give each token one tag")
            column.append(value)


# --- DocBin ----------------------------------------------------------------------------------------------------------

_OF_TOKEN: dict[str, Callable[[Any], str]] = {
    "ner": lambda token: f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O",
    "pos": lambda token: token.pos_,
    "tag": lambda token: token.tag_,
    "morph": lambda token: str(token.morph) or "_",
    "dep": lambda token: token.dep_,
}
_ANNOTATIONS = {"ner": "ENT_IOB", "pos": "POS", "tag": "TAG", "morph": "MORPH", "dep": "DEP"}


def _read_docbin(source: str | os.PathLike[str], data: TokenDataset) -> None:
    """spaCy's binary training data, https://spacy.io/api/docbin; a sentence where they are marked, else a document."""
    for name in data.columns:
        check_choice("columns", name, tuple(_OF_TOKEN))
    spacy = require("spacy", purpose="Reading a DocBin")
    require("spacy.tokens", purpose="Reading a DocBin")
    try:
        docs = list(spacy.tokens.DocBin().from_disk(source).get_docs(spacy.blank("xx").vocab))
    except Exception as error:  # zlib, msgpack and the file system each raise their own
        message = f"cannot be read as a DocBin ({error})"
        raise DataFormatError(message, path=os.fspath(source), remedy="Write it anew with DocBin.to_disk") from error
    for number, doc in enumerate(docs, 1):
        for span in doc.sents if doc.has_annotation("SENT_START") else [doc]:
            data.sentences.append([token.text for token in span])
            data.lines.append(number)
            for name, column in data.columns.items():
                known = doc.has_annotation(_ANNOTATIONS[name])
                column.append([_OF_TOKEN[name](token) for token in span] if known else None)
