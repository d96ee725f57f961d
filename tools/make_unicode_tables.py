"""Write ``tlclassic/kernels/_tokenize_tables.py`` from the Unicode character database.

Development only. The database comes from two packages that carry the same version of it (this script refuses others)::

    pip install unicodedata2==18.0.0 regex==2026.11.15
    python tools/make_unicode_tables.py            # write
    python tools/make_unicode_tables.py --check    # compare with what is committed

Normalisation data come from ``unicodedata2``; properties and case from ``regex``. Lower-case mappings are derived (see
:func:`lower`) and compared with those of the running Python for every character that it knows.
"""

from __future__ import annotations

import base64
import sys
import unicodedata
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import regex
import unicodedata2 as ucd
from regex import _regex

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tlclassic.kernels import _tokenize_rules as R

TARGET = Path(__file__).resolve().parents[1] / "tlclassic" / "kernels" / "_tokenize_tables.py"
VERSION = "18.0.0"
SHIFT = 7
LIMIT = 0x110000
HANGUL = range(0xAC00, 0xAC00 + 11172)

# Extended_Pictographic, but text rather than pictures: copyright, registered, trade mark, information.
NOT_PICTURES = {0xA9, 0xAE, 0x2122, 0x2139}
APOSTROPHES = {0x27, 0xB4, 0x2BC, 0x2018, 0x2019, 0x201B, 0xFF07}
LENGTH_MARKS = {0x30FC, 0xFF70}


@cache
def members(prop: str) -> frozenset[int]:
    """The code points of a property, in regex's notation."""
    pattern = regex.compile(rf"\p{{{prop}}}")
    return frozenset(c for c in range(LIMIT) if pattern.match(chr(c)))


def fold(c: int, *, full: bool) -> str:
    if c == 0x49:  # regex keeps I apart, because of its Turkic folding
        return "i"
    flags = regex.I | regex.U | (regex.F if full else 0)
    return _regex.fold_case(int(flags), chr(c))


def lower(c: int) -> str:
    """Full lower-case mapping without context (sigma stays the ordinary one).

    A character that changes when lower-cased has its simple case folding as lower case, but for İ, which becomes i and
    a dot, and the Cherokee capitals, which fold to themselves.
    """
    if c == 0x130:
        return "i\u0307"
    if c not in members("Changes_When_Lowercased") or c in members("Extended_Pictographic"):
        return chr(c)
    folded = fold(c, full=False)
    if folded != chr(c):
        return folded
    (other,) = (x for x in _regex.get_all_cases(int(regex.I | regex.U), c) if x != c)
    return chr(other)


def folded(c: int) -> str:
    if c in members("Extended_Pictographic"):
        return chr(c)
    # regex leaves İ alone; the full folding of CaseFolding.txt is i and a dot.
    return "i\u0307" if c == 0x130 else fold(c, full=True)


def character_class(c: int) -> int:
    """The class of ``_tokenize_rules`` that ``c`` belongs to."""
    kind = ucd.category(chr(c))
    if c in APOSTROPHES:
        return R.APOSTROPHE
    if c in (0x21, 0x3F, 0xFF01, 0xFF1F):
        return R.EMPHATIC
    if c in (0x2E, 0x2C):
        return R.DECIMAL
    if c in (0x200B, 0xFFFD) or kind in ("Zs", "Zl", "Zp", "Cc", "Cs"):
        return R.SPACE
    if c in (0x200C, 0x200D):
        return R.JOINER
    if c == 0x20E3:
        return R.KEYCAP
    if 0xE0020 <= c <= 0xE007F:
        return R.TAG
    if c in members("Default_Ignorable_Code_Point"):
        return R.IGNORED
    if c in members("Regional_Indicator"):
        return R.REGIONAL
    if c in members("Emoji_Modifier"):
        return R.SKIN_TONE
    if c in members("Extended_Pictographic") and c not in NOT_PICTURES:
        return R.PICTOGRAPH
    if kind[0] == "M" or c in LENGTH_MARKS:
        return R.MARK
    return word_class(c, kind)


def word_class(c: int, kind: str) -> int:
    if c in members("GCB=SpacingMark"):
        return R.MARK
    if kind == "Pc":
        return R.CONNECTOR
    if kind in ("Nd", "No"):
        return R.DIGIT
    alphabetic = c in members("Alphabetic") or kind[0] == "L" or kind == "Nl"
    if not alphabetic:
        return R.SYMBOL
    if c in members("Ideographic") or c in members("Script=Han") or c in members("LB=SA"):
        return R.SOLO
    if c in members("Script=Hiragana"):
        return R.HIRAGANA
    if c in members("Script=Katakana"):
        return R.KATAKANA
    return R.LETTER


def record(c: int) -> tuple[int, int, int, int, int]:
    """(class, combining class, flags, distance to lower case, distance to folded case)."""
    char = chr(c)
    combining = ucd.combining(char)
    flags = 0
    if combining or c in members("NFC_QC=No") or c in members("NFC_QC=Maybe"):
        flags |= R.UNSTABLE
    if ucd.normalize("NFD", char) != char and c not in HANGUL:
        flags |= R.DECOMPOSES
    if ucd.category(char) == "Mn":
        flags |= R.NONSPACING
    low, fol = lower(c), folded(c)
    if len(fol) > 1:
        flags |= R.FOLDS_LONG
        fol = char
    # İ is the one character with a long lower case; the code knows it by name.
    return character_class(c), combining, flags, 0 if c == 0x130 else ord(low) - c, ord(fol) - c


def check_assumptions() -> None:
    """What the kernel's short cuts rely on, for every character."""
    for c in range(LIMIT):
        if 0xD800 <= c < 0xE000:
            continue
        char = chr(c)
        nfd = ucd.normalize("NFD", char)
        if unicodedata.category(char) not in ("Cn", "Co") and c not in members("Extended_Pictographic"):
            assert lower(c) == char.lower() or c == 0x3A3, hex(c)
            assert folded(c) == char.casefold(), hex(c)
        stable = not (ucd.combining(char) or c in members("NFC_QC=No") or c in members("NFC_QC=Maybe"))
        for mapping in (lower, folded):
            mapped = "".join(mapping(ord(x)) for x in nfd)
            assert ucd.normalize("NFD", mapped) == mapped, hex(c)
            # Characters with a long folding take the slow way.
            if stable and len(mapping(c)) == 1:
                assert ucd.normalize("NFC", mapping(c)) == ucd.normalize("NFC", mapped) == mapping(c), hex(c)
            if stable:
                first = ord(mapped[0])
                assert not ucd.combining(mapped[0]), hex(c)
                assert first not in members("NFC_QC=Maybe"), hex(c)


def compositions() -> tuple[list[int], list[int]]:
    """Primary composites as sorted keys ``first << 32 | second`` and their results (Hangul left out)."""
    pairs = {}
    for c in (c for c in range(LIMIT) if c not in HANGUL):
        parts = ucd.decomposition(chr(c)).split()
        if len(parts) == 2 and not parts[0].startswith("<") and ucd.normalize("NFC", chr(c)) == chr(c):
            pairs[int(parts[0], 16) << 32 | int(parts[1], 16)] = c
    keys = sorted(pairs)
    return keys, [pairs[key] for key in keys]


def sequences(table: dict[int, str]) -> tuple[list[int], list[int], list[int]]:
    """Sorted keys, bounds (one more than keys) and the characters end to end."""
    keys = sorted(table)
    bounds, values = [0], []
    for key in keys:
        values += [ord(x) for x in table[key]]
        bounds.append(len(values))
    return keys, bounds, values


def build() -> dict[str, np.ndarray]:
    records: dict[tuple[int, ...], int] = {}
    ids = np.array([records.setdefault(record(c), len(records)) for c in range(LIMIT)], dtype=np.uint16)
    blocks: dict[bytes, int] = {}
    stage1 = [
        blocks.setdefault(ids[start : start + (1 << SHIFT)].tobytes(), len(blocks))
        for start in range(0, LIMIT, 1 << SHIFT)
    ]
    canonical = {
        c: ucd.normalize("NFD", chr(c))
        for c in range(LIMIT)
        if c not in HANGUL and ucd.normalize("NFD", chr(c)) != chr(c)
    }
    long_folds = {c: folded(c) for c in range(LIMIT) if len(folded(c)) > 1}
    d_keys, d_bounds, d_values = sequences(canonical)
    f_keys, f_bounds, f_values = sequences(long_folds)
    c_keys, c_values = compositions()
    return {
        "stage1": np.array(stage1, dtype="<u2"),
        "stage2": np.frombuffer(b"".join(blocks), dtype="<u2"),
        "records": np.array(list(records), dtype="<i4").ravel(),
        "decomposition_keys": np.array(d_keys, dtype="<u4"),
        "decomposition_bounds": np.array(d_bounds, dtype="<u4"),
        "decomposition_values": np.array(d_values, dtype="<u4"),
        "fold_keys": np.array(f_keys, dtype="<u4"),
        "fold_bounds": np.array(f_bounds, dtype="<u4"),
        "fold_values": np.array(f_values, dtype="<u4"),
        "composition_keys": np.array(c_keys, dtype="<u8"),
        "composition_values": np.array(c_values, dtype="<u4"),
    }


HEADER = '''"""Unicode data of the word tokeniser. Generated by tools/make_unicode_tables.py: do not edit.

Two stages: ``record = records[5 * stage2[(stage1[c >> {shift}] << {shift}) + (c & {mask})]:][:5]`` with the fields
class, combining class, flags, distance to the lower case, distance to the folded case. Long mappings: sorted keys.
"""

from __future__ import annotations

import base64
import zlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

#: The version of the Unicode character database that every table is made from.
UNICODE_VERSION = "{version}"
SHIFT = {shift}


@cache
def tables() -> dict[str, NDArray[np.unsignedinteger | np.signedinteger]]:
    """The arrays by name, read-only; unpacked once a process."""
    blob = zlib.decompress(base64.b85decode("".join(_DATA)))
    found, start = {{}}, 0
    for name, kind, count in _LAYOUT:
        dtype = np.dtype(kind)
        # Native byte order, which on little-endian machines is a view of the blob.
        found[name] = np.frombuffer(blob, dtype, count, start).astype(dtype.newbyteorder("="), copy=False)
        start += count * dtype.itemsize
    return found


_LAYOUT = (
{layout}
)

_DATA = (
{data}
)
'''


def main() -> int:
    if ucd.unidata_version != VERSION:
        raise SystemExit(f"unicodedata2 {VERSION} is needed; got {ucd.unidata_version}")
    assigned = frozenset(c for c in range(LIMIT) if ucd.category(chr(c)) != "Cn")
    if assigned != members("Assigned"):
        raise SystemExit(f"regex carries another version of Unicode than {VERSION}")
    check_assumptions()
    arrays = build()
    if "--check" in sys.argv:
        from tlclassic.kernels._tokenize_tables import tables

        same = all(np.array_equal(tables()[name], array) for name, array in arrays.items())
        print("same" if same else "DIFFERENT")
        return 0 if same else 1
    packed = base64.b85encode(zlib.compress(b"".join(a.tobytes() for a in arrays.values()), 9)).decode()
    layout = "\n".join(f'    ("{name}", "{a.dtype.str}", {len(a)}),' for name, a in arrays.items())
    data = "\n".join(f'    r"{packed[i : i + 110]}"' for i in range(0, len(packed), 110))
    TARGET.write_text(HEADER.format(shift=SHIFT, mask=(1 << SHIFT) - 1, version=VERSION, layout=layout, data=data))
    print({name: len(a) for name, a in arrays.items()}, len(packed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
