"""The trainable part of tlclassic's ``Tok2Vec`` architectures: a projection, hash embeddings beside it, a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlclassic._compat import require
from tlclassic._validate import check_integer
from tlclassic.errors import InvalidParameterError

require("spacy", purpose="A Tok2Vec architecture")
from spacy.ml.featureextractor import FeatureExtractor  # noqa: E402
from spacy.ml.models.tok2vec import MaxoutWindowEncoder  # noqa: E402
from thinc.api import (  # noqa: E402
    HashEmbed,
    Linear,
    Maxout,
    chain,
    concatenate,
    list2ragged,
    ragged2list,
    with_array,
)

__all__ = ["build_tok2vec"]

#: Seeds of the hash embeddings, as many as there are attributes, from this one on.
_SEED = 8


def build_tok2vec(
    frozen: Any,
    *,
    width: int,
    attrs: Sequence[str],
    rows: Sequence[int],
    depth: int,
    window_size: int,
    maxout_pieces: int,
) -> Any:
    """A ``Model[List[Doc], List[Floats2d]]`` over frozen features of tokens.

    The features are projected to ``width`` and put beside hash embeddings of lexical attributes (as spaCy's
    ``MultiHashEmbed``: Miranda et al. 2022, https://arxiv.org/abs/2212.09255); one maxout layer with layer
    normalisation mixes them, and ``depth`` layers of maxout over windows of tokens follow.

    Parameters
    ----------
    frozen : Model[List[Doc], Ragged]
    width : int
        Numbers of a token's vector.
    attrs : sequence of str
        Such as "NORM", "PREFIX", "SUFFIX", "SHAPE"; may be empty.
    rows : sequence of int
        Rows of the table of each attribute.
    depth : int
        0: a token's vector depends on its own features alone.
    window_size : int
        Neighbours on each side that a layer sees.
    maxout_pieces : int
    """
    check_integer("width", width, low=1)
    check_integer("depth", depth, low=0)
    check_integer("maxout_pieces", maxout_pieces, low=1)
    check_integer("window_size", window_size, low=1)
    if len(attrs) != len(rows):
        raise InvalidParameterError(f"rows must hold a number for each of the {len(attrs)} attrs; got {len(rows)}.")
    embed = _embed(frozen, width, attrs, rows, maxout_pieces)
    if not depth:
        embed.set_dim("nO", width)
        return embed
    encode = MaxoutWindowEncoder(width=width, window_size=window_size, maxout_pieces=maxout_pieces, depth=depth)
    tok2vec = chain(embed, encode)
    tok2vec.set_dim("nO", width)
    tok2vec.set_ref("embed", embed)
    tok2vec.set_ref("encode", encode)
    return tok2vec


def _embed(frozen: Any, width: int, attrs: Sequence[str], rows: Sequence[int], maxout_pieces: int) -> Any:
    features = chain(frozen, with_array(Linear(nO=width)))
    sources = [features]
    if attrs:
        tables = [
            HashEmbed(width, count, column=column, seed=_SEED + column, dropout=0.0)
            for column, count in enumerate(rows)
        ]
        joined = concatenate(*tables) if len(tables) > 1 else tables[0]
        sources.append(chain(FeatureExtractor(list(attrs)), list2ragged(), with_array(joined)))
    mixed = Maxout(width, width * (len(attrs) + 1), nP=maxout_pieces, dropout=0.0, normalize=True)
    source = concatenate(*sources) if attrs else sources[0]
    return chain(source, with_array(mixed), ragged2list())
