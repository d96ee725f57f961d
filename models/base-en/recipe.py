"""How base-en was made; run in the checkout: ``python models/base-en/recipe.py ENCODER CORPUS... --work DIR``.

ENCODER is all-MiniLM-L6-v2 as ``tlclassic encoder export`` writes it. Each CORPUS is a file of plain text,
one text a line, gone through in that order. Needs the extras onnx and train; two CPU cores take it in about an hour,
nearly all of which the encoder needs for its vectors, and a stopped run goes on where it was. For the file that ships,
CORPUS was what corpus.py writes; word2vec saw all of it, the encoder the first 294,912 texts (and ran in bfloat16).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tlclassic import OnnxEncoder, WordVectors
from tlclassic.data import TextColumn
from tlclassic.distillation import StaticOptions, static_vectors
from tlclassic.distillation.layers import expose_layers
from tlclassic.distillation.vocabulary import read_tokenizer_json
from tlclassic.vectors.store import write_store
from tlclassic.vectors.training import train_vectors

LAYERS, WEIGHTS = (3, 6), (1.0, 0.5)
OPTIONS = StaticOptions(dim=256, size=26_000, blocks=WEIGHTS, ridge=0.1, iterations=12, floor=0.15)
OUT = Path(__file__).resolve().parent / "vectors.tlc"


def neighbours(corpus: list[str], path: Path) -> WordVectors:
    """word2vec of the same texts: what the words stand beside, which the encoder's means tell less of."""
    if not path.exists():
        vectors = train_vectors(corpus, dim=150, window=5, epochs=3, min_count=4, sample=1e-4, workers=1, seed=0)
        vectors.save(path)
    return WordVectors.load(path)


def main() -> None:
    """Corpus, teacher, word2vec, vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    texts = [text for path in options.corpus for text in TextColumn(path, format="txt") if text.strip()]
    joined = options.work / "encoder"
    if not joined.exists():
        expose_layers(options.encoder, joined, LAYERS)
    vectors = static_vectors(
        OnnxEncoder(joined, pooling="mean", normalize=False),
        texts,
        tokenizer_json=read_tokenizer_json(options.encoder),
        options=OPTIONS,
        beside=neighbours(texts, options.work / "word2vec.tlc"),
        beside_weight=1.0,
        work=options.work,
        on_progress=lambda step, done, total: print(f"\r{step} {done:,} of {total:,}", end="", flush=True),
    )
    write_store(vectors, options.out, dtype="int8", source={"name": "all-MiniLM-L6-v2", "layers": "3:1,6:0.5"})
    print(f"\nwrote {options.out}: {len(vectors):,} x {vectors.dim}, digest {vectors.digest}")


if __name__ == "__main__":
    main()
