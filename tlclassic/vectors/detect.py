"""Which format a vector file has, told by its content."""

from __future__ import annotations

import collections
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tlclassic._validate import check_choice
from tlclassic.errors import VectorFormatError
from tlclassic.vectors.source import Source, open_source

__all__ = ["FOLDER_FORMATS", "FORMATS", "TEXT_FORMATS", "Layout", "detect_format", "text_layout"]

#: Every format that can be read.
FORMATS = ("store", "glove", "word2vec", "word2vec-binary", "fasttext", "gensim", "spacy", "static-model")
#: Those with one word a line.
TEXT_FORMATS = ("glove", "word2vec")
#: Those that are folders.
FOLDER_FORMATS = ("spacy", "static-model")

_HEAD = 1 << 20
#: More dimensions than this are a damaged header.
_MAX_DIM = 1 << 20
_STORE_MAGIC = b"\x89TLC"
_FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")
_BOM = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"[ \t]*([0-9]{1,15})[ \t]+([0-9]{1,9})[ \t\r]*")
_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity|nan)")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_REMEDY = "Expected lines 'word number ... number', or name the format with format="


@dataclass(frozen=True)
class Layout:
    """What the beginning of a text or binary file says.

    Attributes
    ----------
    dim : int
    header_count : int or None
        How many words the header promises; None without a header.
    start : int
        Bytes before the first word: the byte-order mark and the header.
    start_line : int
        The 1-based line of the first word.
    bom : bool
    """

    dim: int
    header_count: int | None
    start: int
    start_line: int
    bom: bool


def detect_format(source: str | os.PathLike[str], *, member: str | None = None) -> str:
    """The format of the file or folder ``source``, one of :data:`FORMATS`.

    Raises
    ------
    VectorFormatError
        When it is none of them; says what was found.
    """
    if os.path.isdir(source):
        return _folder_format(Path(source))
    opened = open_source(source, member)
    return format_of(opened, opened.head(_HEAD))


def _folder_format(folder: Path) -> str:
    if (folder / "tokenizer.json").is_file() and any(folder.glob("*.safetensors")):
        return "static-model"
    if (
        any((folder / place / "vectors").is_file() for place in ("", "vocab"))
        or (folder / "vocab" / "vectors").is_dir()
    ):
        return "spacy"
    raise VectorFormatError(
        "the folder holds no known vectors",
        path=folder,
        remedy="Expected tokenizer.json with a .safetensors file, or a spaCy pipeline, vocab or vectors folder",
    )


def format_of(source: Source, head: bytes) -> str:
    """The format of a file that begins with ``head`` (unpacked)."""
    if head.startswith(_STORE_MAGIC):
        return "store"
    if head.startswith(_FASTTEXT_MAGIC):
        return "fasttext"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "gensim"
    folder = Path(source.path).parent
    if head.startswith(b"\x93NUMPY") and (folder / "key2row").is_file():
        return "spacy"
    if head[8:9] == b"{" and head[:8].endswith(b"\0\0\0\0") and (folder / "tokenizer.json").is_file():
        return "static-model"
    if _starts_with_header(head):
        return "word2vec-binary" if _is_binary(head) else "word2vec"
    _refuse_foreign(source, head)
    return "glove"


def _lines(head: bytes, count: int) -> list[bytes]:
    """The first ``count`` lines that are not blank; a last one that the head cuts off does not count."""
    pieces = head.removeprefix(_BOM).split(b"\n")
    whole = pieces[:-1] if len(head) >= _HEAD and len(pieces) > 1 else pieces
    stripped = (line.rstrip(b" \t\r") for line in whole)
    return [line for line in stripped if line][:count]


def _starts_with_header(head: bytes) -> bool:
    lines = _lines(head, 2)
    match = _HEADER.fullmatch(lines[0]) if lines else None
    if match is None:
        return False
    # "7 1" may be a header or the word "7" in one dimension: the next line tells, having as many fields or not.
    return len(lines) < 2 or len(lines[1].split()) != 2 or int(match[2]) == 1 or _is_binary(head)


def _is_binary(head: bytes) -> bool:
    """Whether raw float32, and not decimal numbers, follow the first word after the header."""
    text = head.removeprefix(_BOM)
    match = _HEADER.match(text)
    line = text.partition(b"\n")[2].lstrip(b"\n").partition(b"\n")[0]
    if match is None or not line:
        return False
    dim = int(match[2])
    # Three numbers, because raw float32 may by chance hold a space, a digit and a line feed.
    if _trailing_numbers(line.rstrip(b" \t\r")) >= (3 if dim > 2 else 1):
        return False
    # A damaged line of text; some dozen bytes of raw float32 are never all printable.
    return dim < 3 or any(byte < 32 and byte not in b"\t\r\v\f" for byte in line) or not _is_utf8(line)


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refuse_foreign(source: Source, head: bytes) -> None:
    first = head.partition(b"\n")[0]
    if head.startswith(_UTF16):
        raise source.error("the text is UTF-16", remedy="Convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW")
    if head[257:262] == b"ustar":
        raise source.error("this is a tar archive", remedy="Unpack it and name a file of it")
    if not _lines(head, 1):
        raise source.error("the file holds no words", remedy="Fetch it again")
    if b"\0" in first[:4096]:
        raise source.error(f"no known vector format (it begins with {head[:8]!r})", remedy=_REMEDY)


def text_layout(source: Source, format: str, head: bytes | None = None) -> Layout:
    """The layout of a "glove", "word2vec" or "word2vec-binary" file.

    Raises
    ------
    VectorFormatError
        When a header is missing or gives no dimensions, or the first lines hold no numbers.
    """
    check_choice("format", format, (*TEXT_FORMATS, "word2vec-binary"))
    head = source.head(_HEAD) if head is None else head
    bom = head.startswith(_BOM)
    start = len(_BOM) if bom else 0
    if format == "glove":
        return Layout(_dimensions(source, head), None, start, 1, bom)
    line, _, _ = head[start:].partition(b"\n")
    match = _HEADER.fullmatch(line)
    if match is None or not 1 <= int(match[2]) <= _MAX_DIM:
        shown = line[:60].decode("utf-8", "replace")
        raise source.error(
            f"a header 'number-of-words dimensions' was expected; got {shown!r}",
            line=1,
            remedy="For a file without a header use format='glove'",
        )
    return Layout(int(match[2]), int(match[1]), start + len(line) + 1, 2, bom)


def _dimensions(source: Source, head: bytes) -> int:
    """What most of the first five lines have; of equals, the first line's."""
    counts = [_trailing_numbers(line) for line in _lines(head, 5)]
    if not counts or counts[0] < 1:
        shown = head.removeprefix(_BOM).strip()[:60].decode("utf-8", "replace")
        raise source.error(f"no numbers in the first line; it begins {shown!r}", line=1, remedy=_REMEDY)
    return collections.Counter(count for count in counts if count).most_common(1)[0][0]


def _trailing_numbers(line: bytes) -> int:
    fields = re.split(rb"[ \t]+", line.strip(b" \t\r"))
    count = 0
    while count < len(fields) and _NUMBER.fullmatch(fields[-1 - count]):
        count += 1
    has_empty_word = line[:1] in (b" ", b"\t")
    return count if has_empty_word else min(count, len(fields) - 1)
