"""What the word tokeniser's kernel and its plain twin share: option flags, character classes and word lists.

Every rule that is a list lives here, once; every rule that is a property of characters lives in the generated tables
(:mod:`tlclassic.kernels._tokenize_tables`), as one of the classes below.
"""

from __future__ import annotations

# Options, as bits of one integer.
LOWER, FOLD = 1, 2  # case="lower", case="fold"; neither: case="keep"
STRIP = 4  # accents="strip"
NFC = 8  # normalize="nfc"
SPLIT = 16  # contractions="split"
EMPHASIS, PUNCTUATION = 32, 64  # punctuation="emphasis", punctuation="keep"; neither: punctuation="drop"
EMOJI, EMOTICONS = 128, 256

# Character classes.
SPACE = 0  # white space, controls, zero-width space, surrogates, U+FFFD
LETTER = 1  # alphabetic, of scripts that put spaces between words
DIGIT = 2  # Nd and No
MARK = 3  # combining marks, and the marks of length and vowels that only follow a letter
SOLO = 4  # ideographs and letters of South-East Asian scripts: a token each, with their marks
HIRAGANA = 5  # runs
KATAKANA = 6  # runs
APOSTROPHE = 7  # written as '
CONNECTOR = 8  # underscore and the like, inside words
DECIMAL = 9  # full stop and comma, inside numbers
EMPHATIC = 10  # ! and ?, also full-width
SYMBOL = 11  # everything else that is visible
PICTOGRAPH = 12  # starts an emoji
SKIN_TONE = 13
REGIONAL = 14  # half a flag
KEYCAP = 15  # U+20E3
TAG = 16  # emoji tag sequences
JOINER = 17  # U+200C and U+200D
IGNORED = 18  # default ignorable: soft hyphen, BOM, variation selectors, direction marks

# Flags of a character's record.
UNSTABLE = 1  # may change, or compose with what precedes it, in NFC; or a non-zero combining class
DECOMPOSES = 2  # has a canonical decomposition (Hangul syllables, done by arithmetic, excepted)
NONSPACING = 4  # general category Mn
FOLDS_LONG = 8  # full case folding gives more than one character

#: A run of "!" and "?" gives at most so many tokens.
MAX_EMPHATIC_RUN = 3

#: The texts of non-ASCII or lower-cased input are normalised in pieces of about so many characters.
CHUNK = 1 << 14

#: Penn Treebank: what is split from the end of a word (besides n't), without its apostrophe.
CLITICS = ("s", "m", "d", "ll", "re", "ve")

URL_SCHEMES = ("http", "https", "ftp")
URL_WWW = "www"
#: ASCII characters that end a web address wherever they stand, besides spaces.
URL_STOPS = '<>"`{}|\\^'
#: ASCII characters that are not part of a web address at its end.
URL_TRAILING = ".,;:!?'\"()[]*_~"
#: ASCII characters of the part of an e-mail address before the @, besides letters and digits.
EMAIL_LOCAL = "._%+-"

#: Faces and hearts, in lower case; recognised in any case. The last character may be repeated.
EMOTICONS_LIST = (
    # happy, sad
    *(eyes + nose + mouth for eyes in ":;=" for nose in ("", "-", "'", "'-", "^", "o") for mouth in ")("),
    *(eyes + nose + mouth for eyes in ":=" for nose in ("", "-") for mouth in "][}{"),
    "(:", "(-:", "(;", "(=",
    # laughing, tongue, surprise, kiss, cat, doubt, blank, sealed, shame
    *(eyes + nose + mouth for eyes in ":;=" for nose in ("", "-") for mouth in "dp"),
    *(":" + nose + mouth for nose in ("", "-") for mouth in "o*3/\\|xs$@><c"),
    "=/", "=\\", "=|", "=*", "=3", "=o", ";*", ";-*", ":'d", "x-d", "d:", "d-:", "d;",
    # anger, devil, sunglasses, party
    *(">" + eyes + nose + mouth for eyes in ":;" for nose in ("", "-") for mouth in ("(", ")", "d", "o", "/", "p")),
    "8-)", "8-d", "b-)", "<:-)", "<:o)",
    # hearts
    "<3", "</3", "<\\3",
    # upright faces
    "^^", "^_^", "^-^", "^.^", "^o^", "-_-", "-.-", "-__-", "o.o", "o_o", ">_<", ">.<", ">.>", "<.<", ";_;", ";-;",
    "t_t", "t.t", "u_u", "n_n", "x_x", "\\o/", "\\m/",
)  # fmt: skip
