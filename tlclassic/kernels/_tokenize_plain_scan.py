"""Plain twin of ``_tokenize_scan.pxd``: the rules that cut a normalised text into tokens.

Design: one walk from left to right; each method looks at one position, adds the token that starts there, if any, and
returns where to go on. No rule looks past a space, so that the tokens joined by spaces give the same tokens again. A
rule that fails after looking far ahead remembers how far it looked: every walk is linear in the length of the text.
"""

from __future__ import annotations

from tlclassic.kernels import _tokenize_rules as R

_WORD = (R.LETTER, R.DIGIT)
_WORD_OR_MARK = (R.LETTER, R.DIGIT, R.MARK)
_INVISIBLE = (R.SPACE, R.MARK, R.KEYCAP, R.TAG, R.JOINER, R.IGNORED)
_PICTURES = (R.PICTOGRAPH, R.SKIN_TONE, R.REGIONAL)

_FACES: dict[str, list[str]] = {}
for _face in sorted(set(R.EMOTICONS_LIST), key=lambda face: (-len(face), face)):
    _FACES.setdefault(_face[0], []).append(_face)


def _lower(text: str) -> str:
    """Lower case of ASCII letters only."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def _is_ascii_word(char: str) -> bool:
    return char.isascii() and char.isalnum()


def touches_words(face: str) -> bool:
    """Whether an emoticon may stand directly after a word: only the unmistakable ones, such as ``:)``."""
    return face[0] in ":;" and all(c in ":;-'()^|*" for c in face)


def scan(text: str, classes: list[int], flags: int) -> list[tuple[int, int]]:
    """The bounds of the tokens in the normalised ``text``, given each character's class."""
    return _Scanner(text, classes, flags).run()


class _Scanner:
    def __init__(self, text: str, classes: list[int], flags: int) -> None:
        self.length = len(text)
        # No rule looks further ahead than four characters without having seen that the first ones fit.
        self.text = text + "\0" * 4
        self.classes = classes + [R.SPACE] * 4
        self.flags = flags
        self.bounds: list[tuple[int, int]] = []
        self.word_end = -1  # where the last word ended
        self.no_acronym_before = self.no_email_before = self.no_face_before = 0

    def run(self) -> list[tuple[int, int]]:
        place = 0
        while place < self.length:
            place = self.step(place)
        return self.bounds

    def add(self, start: int, end: int) -> int:
        self.bounds.append((start, end))
        return end

    def step(self, i: int) -> int:
        kind = self.classes[i]
        if kind in _INVISIBLE:
            return i + 1
        if kind in _WORD:
            return self.word(i)
        if kind in (R.SOLO, R.HIRAGANA, R.KATAKANA):
            return self.letters_without_spaces(i, kind)
        if kind in _PICTURES and self.flags & R.EMOJI:
            return self.emoji(i, kind)
        return self.symbol(i, kind)

    # --- words ---------------------------------------------------------------------------------------------------

    def word(self, i: int) -> int:
        if self.is_keycap(i, self.classes[i] == R.DIGIT):
            return self.add(i, i + 2)
        end = self.end_of_word(i)
        special = self.email(i, end) or self.url(i, end) or (self.acronym(i, end) if end == i + 1 else 0)
        if special:
            self.word_end = self.add(i, special)
            return special
        if end == i + 1 and (face := self.face(i)):
            self.add(i, i + face[0])
            return face[1]
        self.split(i, end)
        self.word_end = end
        return end

    def end_of_word(self, i: int) -> int:
        base = self.classes[i]
        while True:
            i += 1
            kind, following = self.classes[i], self.classes[i + 1]
            if kind in _WORD:
                base = kind
            elif not (
                kind == R.MARK
                or (kind == R.APOSTROPHE and following == R.LETTER)
                or (kind == R.CONNECTOR and following in _WORD)
                or (kind == R.DECIMAL and base == R.DIGIT and following == R.DIGIT)
                or (kind == R.JOINER and base == R.LETTER and following == R.LETTER)
            ):
                return i

    def split(self, start: int, end: int) -> None:
        """Add the word, its contractions as tokens of their own if so wished."""
        tail = []
        while self.flags & R.SPLIT and (cut := self.clitic_at_end(start, end)):
            tail.append((cut, end))
            end = cut
        self.add(start, end)
        self.bounds += reversed(tail)

    def clitic_at_end(self, start: int, end: int) -> int:
        """Where the last clitic of the word begins; 0 if there is none or nothing before it."""
        if _lower(self.text[max(end - 3, 0) : end]) == "n't":
            return end - 3 if end - 3 > start and self.classes[end - 4] in _WORD_OR_MARK else 0
        for clitic in R.CLITICS:
            cut = end - len(clitic) - 1
            if cut > start and self.text[cut] == "'" and _lower(self.text[cut + 1 : end]) == clitic:
                return cut
        return 0

    def acronym(self, i: int, end: int) -> int:
        """The end of ``u.s.``, ``e.g.``, ``J.R.R.``: single letters with full stops between; 0 if it is none."""
        if self.text[end] != "." or i < self.no_acronym_before:
            return 0
        letters, j = 0, i
        while self.classes[j] == R.LETTER and self.text[j + 1] == ".":
            letters, j = letters + 1, j + 2
        if self.classes[j] == R.LETTER and self.classes[j + 1] not in _WORD_OR_MARK:
            letters, j = letters + 1, j + 1
        if letters > 1 and self.classes[j] not in _WORD_OR_MARK:
            return j
        self.no_acronym_before = j
        return 0

    def url(self, i: int, end: int) -> int:
        """The end of a web address that starts with a scheme or ``www.``; 0 if it is none."""
        head = _lower(self.text[i:end]) if end - i <= 5 else ""
        if head in R.URL_SCHEMES and self.text[end : end + 3] == "://":
            start = end + 3
        elif head == R.URL_WWW and self.text[end] == ".":
            start = end + 1
        else:
            return 0
        if self.classes[start] not in _WORD:
            return 0
        end = start
        while self.classes[end] in _WORD_OR_MARK or self.is_ascii_url(end):
            end += 1
        return self.trim_url(start, end)

    def is_ascii_url(self, i: int) -> bool:
        return self.classes[i] != R.SPACE and self.text[i].isascii() and self.text[i] not in R.URL_STOPS

    def trim_url(self, start: int, end: int) -> int:
        opened, closed = self.text.count("(", start, end), self.text.count(")", start, end)
        while self.text[end - 1] in R.URL_TRAILING:
            if self.text[end - 1] == ")":
                if closed <= opened:
                    break
                closed -= 1
            opened -= self.text[end - 1] == "("
            end -= 1
        return end

    def email(self, i: int, end: int) -> int:
        """The end of an e-mail address; 0 if it is none."""
        if i < self.no_email_before or (self.text[end] != "@" and self.text[end] not in R.EMAIL_LOCAL):
            return 0
        at = i
        while _is_ascii_word(self.text[at]) or self.text[at] in R.EMAIL_LOCAL:
            at += 1
        found = self.end_of_domain(at + 1) if self.text[at] == "@" and at > i else 0
        if not found:
            self.no_email_before = at + 1
        return found

    def end_of_domain(self, start: int) -> int:
        end = start
        while _is_ascii_word(self.text[end]) or self.text[end] in ".-":
            end += 1
        if self.classes[end] in _WORD_OR_MARK or self.text[end] == "@":
            return 0
        while end > start and self.text[end - 1] in ".-":
            end -= 1
        dot = self.text.rfind(".", start, end)
        last = self.text[dot + 1 : end]
        if dot < 0 or len(last) < 2 or not (last.isalpha() and _is_ascii_word(self.text[start])):
            return 0
        return end

    # --- other scripts, emoji, signs -----------------------------------------------------------------------------

    def letters_without_spaces(self, i: int, kind: int) -> int:
        end = i + 1
        while self.classes[end] == R.MARK or (kind != R.SOLO and self.classes[end] == kind):
            end += 1
        return self.add(i, end)

    def is_keycap(self, i: int, can_start: bool) -> bool:
        return can_start and bool(self.flags & R.EMOJI) and self.classes[i + 1] == R.KEYCAP

    def emoji(self, i: int, kind: int) -> int:
        end = i + 1
        if kind == R.REGIONAL:
            return self.add(i, end + (self.classes[end] == R.REGIONAL))
        if kind == R.PICTOGRAPH:
            while True:
                while self.classes[end] in (R.SKIN_TONE, R.TAG):
                    end += 1
                if self.classes[end] != R.JOINER or self.classes[end + 1] != R.PICTOGRAPH:
                    break
                end += 2
        return self.add(i, end)

    def symbol(self, i: int, kind: int) -> int:
        if self.is_keycap(i, self.text[i] in "#*"):
            return self.add(i, i + 2)
        if face := self.face(i):
            self.add(i, i + face[0])
            return face[1]
        if kind == R.EMPHATIC:
            return self.emphasis(i)
        if kind == R.APOSTROPHE and (end := self.clitic(i)):
            self.word_end = self.add(i, end)
            return end
        return self.punctuation(i) if self.flags & R.PUNCTUATION else i + 1

    def face(self, i: int) -> tuple[int, int] | None:
        """The length of the emoticon here, and where its repeated last character ends."""
        if not self.flags & R.EMOTICONS or i < self.no_face_before:
            return None
        for face in _FACES.get(_lower(self.text[i]), ()):
            if _lower(self.text[i : i + len(face)]) != face or not self.may_follow(i, face):
                continue
            end = i + len(face)
            while _lower(self.text[end]) == face[-1]:
                end += 1
            if face[-1] == ")" or (self.classes[end] not in _WORD and self.text[end] not in "/\\"):
                return len(face), end
            self.no_face_before = max(self.no_face_before, end)
        return None

    def may_follow(self, i: int, face: str) -> bool:
        """Whether what stands before place ``i`` allows the emoticon there."""
        if _is_ascii_word(face[0]):
            return i == 0 or self.classes[i - 1] == R.SPACE
        return i != self.word_end or touches_words(face)

    def emphasis(self, i: int) -> int:
        end = i
        while self.classes[end] == R.EMPHATIC:
            end += 1
        if self.flags & (R.EMPHASIS | R.PUNCTUATION):
            self.bounds += [(j, j + 1) for j in range(i, min(end, i + R.MAX_EMPHATIC_RUN))]
        return end

    def clitic(self, i: int) -> int:
        """The end of a clitic that stands by itself, as in text that was split before; 0 if it is none."""
        for clitic in R.CLITICS:
            end = i + 1 + len(clitic)
            if _lower(self.text[i + 1 : end]) == clitic and self.ends_clitic(end):
                return end
        return 0

    def ends_clitic(self, i: int) -> bool:
        kind = self.classes[i]
        if kind == R.APOSTROPHE:  # a quoted letter, 'd'
            return self.classes[i + 1] == R.LETTER
        return kind not in _WORD_OR_MARK and kind not in (R.CONNECTOR, R.JOINER)

    def punctuation(self, i: int) -> int:
        """One mark; two or more hyphens give ``--``, three or more full stops ``...``."""
        mark, end = self.text[i], i + 1
        if mark in "-.":
            while self.text[end] == mark:
                end += 1
            least = 2 if mark == "-" else 3
            if end - i >= least:
                self.add(i, i + least)
                return end
        return self.add(i, i + 1)
