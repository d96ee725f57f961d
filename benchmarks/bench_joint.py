"""Several sources as one: meta-embeddings, retrofitting, alignment, zero-shot transfer. Resumable, one row at a time.

Everything is chosen on data other than what is reported. Word similarity: the preparation and the weights of a
meta-embedding are chosen for each family of sets (the two of Rubenstein and Goodenough, the three of WordSim, the two
of MTurk, every other by itself) on the sets of all other families. Classification: on the training texts by
cross-validation; the head's strength on dev; the test file is read once for a row. The vectors are those of
../shared/vectors: cuts of a few thousand words, which their names below say.

    python benchmarks/bench_joint.py similarity|classification|retrofitting|alignment|zero-shot|structure
    python benchmarks/bench_joint.py                         # everything that is missing
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  (thread counts are read when the libraries are imported)
from common import SHARED, Results, read_intents  # noqa: E402
from tasks import SETS, Task, dev_score, load_task, test_scores  # noqa: E402

from tlclassic import EmbeddingVectorizer, WordVectors, load_vectors  # noqa: E402
from tlclassic.joint import (  # noqa: E402
    align,
    choose_join,
    counter_fit,
    join_parts,
    precision_at,
    read_lexicon,
    read_word_pairs,
    retrofit,
    with_vectors,
)
from tlclassic.joint.choosing import tried  # noqa: E402
from tlclassic.joint.criteria import PairCriterion  # noqa: E402
from tlclassic.vectors.evaluation import correlation_of_ranks, read_pairs  # noqa: E402

VECTORS, LEXICONS, PAIRS = SHARED / "vectors", SHARED / "lexicons", SHARED / "data" / "wordsim"
#: Name → file; the number of words is what the cut holds.
FILES = {
    "glove-50d-8k": "glove_6b_50d/glove.6B.50d.8k.txt.gz",
    "glove-100d-3k": "glove_6b_100d/glove.6B.100d.top2k7.txt.gz",
    "twitter-25d-14k": "glove_twitter_25d/glove.twitter.27B.25d.14k.txt.gz",
    "google-300d-14k": "word2vec_googlenews_300d/GoogleNews-vectors-negative300.13k.bin.gz",
    "minilm-128d-40k": "minilm_static_128d/minilm-static.40k.128d.txt.gz",
}
#: The published cuts alone, and with the packaged vectors.
SOURCES = {"cuts": list(FILES), "cuts+base-en": [*FILES, "base-en"]}
WHITENINGS = (0.0, 0.3, 0.6)
FAMILIES = {"EN-MC-30": "rg", "EN-RG-65": "rg"}


@cache
def vectors_of(name: str) -> WordVectors:
    """A set of word vectors by its name here."""
    return load_vectors("base-en") if name == "base-en" else WordVectors.load(VECTORS / FILES[name])


def family(name: str) -> str:
    """Sets that share words or pairs are of one family."""
    return next((part for part in ("WS-353", "MTurk") if part in name), FAMILIES.get(name, name))


@cache
def index_of(vectors: WordVectors) -> dict[str, int]:
    """The row of each word in upper case; of equal ones the first."""
    index: dict[str, int] = {}
    for row, word in enumerate(vectors.words):
        index.setdefault(word.upper(), row)
    return index


def cosines(vectors: WordVectors, triples: list[Any], matrix: np.ndarray | None = None) -> np.ndarray:
    """The cosine of each pair, float64 of shape (n,), after a linear map; NaN where a word is unknown."""
    index = index_of(vectors)
    places = np.array([[index.get(word.upper(), -1) for word in triple[:2]] for triple in triples])
    result = np.full(len(triples), np.nan)
    known = (places >= 0).all(axis=1)
    a, b = (vectors.take(places[known, side]) for side in (0, 1))
    if matrix is not None:
        a, b = a @ matrix.astype(np.float32), b @ matrix.astype(np.float32)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    result[known] = np.where(lengths > 0, (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1), np.nan)
    return result


def spearman(found: np.ndarray, triples: list[Any], chosen: np.ndarray | None = None) -> float:
    """On the chosen pairs; on all by default, an unknown one counting as one of mean similarity."""
    gold = np.array([triple[2] for triple in triples])
    filled = np.where(np.isnan(found), np.nanmean(found), found)
    if chosen is not None:
        gold, filled = gold[chosen], filled[chosen]
    return round(correlation_of_ranks(gold, filled), 4)


def similarity(results: Results) -> None:
    """A row for every set of word pairs and choice of sources."""
    sets = {path.stem: read_pairs(path) for path in sorted(PAIRS.glob("*.tsv"))}
    for config, names in SOURCES.items():
        if all(f"similarity {config} {name}" in results for name in sets):
            continue
        sources = [vectors_of(name) for name in names]
        prepared = [(parts, parts.join()) for parts in (join_parts(sources, whitening=each) for each in WHITENINGS)]
        alone = dict(zip(names, sources, strict=True))
        alone |= {
            f"{name} whitened {whitening}": join_parts([vectors], whitening=whitening).join()
            for name, vectors in zip(names, sources, strict=True)
            for whitening in WHITENINGS
        }
        for kin in dict.fromkeys(family(name) for name in sets):
            mine = {name: triples for name, triples in sets.items() if family(name) == kin}
            if any(f"similarity {config} {name}" not in results for name in mine):
                others = {name: triples for name, triples in sets.items() if family(name) != kin}
                rows = similarity_rows(prepared, others, mine, alone, names)
                for name, row in rows.items():
                    results.add(f"similarity {config} {name}", {"sources": config, **row})


def similarity_rows(
    prepared: list[Any], others: dict[str, Any], mine: dict[str, Any], alone: dict[str, WordVectors], names: list[str]
) -> dict[str, dict[str, Any]]:
    """Choose on the other families' sets, measure on these."""
    criterion = PairCriterion(others, n_folds=2, random_state=0)
    found = []
    for parts, whole in prepared:
        ((settings, score),) = tried(parts, criterion.bind(parts), ["concat"], [None])
        found.append((score, settings, parts, whole))
    score, settings, parts, whole = max(found, key=lambda item: item[0])
    joined = {
        "joint": parts.map("concat", settings.weights),
        "concat, equal weights": parts.map("concat"),
        "average": parts.map("average", settings.weights),
        "svd 300": parts.map("svd", settings.weights, 300),
        "gcca 300": parts.map("gcca", settings.weights, 300),
    }
    rows = {}
    for name, triples in mine.items():
        own = {who: cosines(vectors, triples) for who, vectors in alone.items()}
        singles = {who: spearman(values, triples) for who, values in own.items()}
        best = max(names, key=lambda who: singles[who])
        known = ~np.isnan(own[best])
        found_here = {way: cosines(whole, triples, matrix) for way, matrix in joined.items()}
        rows[name] = {
            "set": name,
            "n_pairs": len(triples),
            "chosen": {**settings.as_dict(), "weights": dict(zip(names, settings.weights, strict=True))},
            "score_on_others": round(score, 4),
            "all_pairs": {who: spearman(values, triples) for who, values in found_here.items()},
            "n_known": int((~np.isnan(found_here["joint"])).sum()),
            "best_single": best,
            "best_single_all_pairs": singles[best],
            "best_single_whitened_all_pairs": max(singles.values()),
            "pairs_of_best_single": int(known.sum()),
            "joint_on_its_pairs": spearman(found_here["joint"], triples, known),
            "best_single_on_its_pairs": spearman(own[best], triples, known),
            "singles_all_pairs": {who: singles[who] for who in names},
        }
    return rows


def ridge(task: Task, vectors: WordVectors) -> dict[str, Any]:
    """Least squares with a penalty on standardised means of word vectors; the penalty is chosen on dev."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = make_pipeline(EmbeddingVectorizer(vectors), StandardScaler())
    found = {"train": features.fit_transform(task.texts["train"])}
    found |= {part: features.transform(task.texts[part]) for part in ("dev", "test")}
    best: tuple[float, Any] | None = None
    for strength in (1.0, 10.0, 100.0, 1000.0):
        model = Ridge(alpha=strength).fit(found["train"], task.targets["train"].astype(np.float32))
        score = dev_score(
            task, np.clip(model.predict(found["dev"]), 0, 1) if task.multilabel else model.predict(found["dev"])
        )
        if best is None or score > best[0]:
            best = (score, model)
    assert best is not None
    model = best[1]

    def scorer(texts: list[str]) -> np.ndarray:
        part = "test" if texts is task.texts["test"] else "dev"
        values = model.predict(found[part])
        return np.clip(values, 0, 1) if task.multilabel else values

    return {"dev": round(best[0], 2), **test_scores(task, scorer)}


def classification(results: Results) -> None:
    """For every set and choice of sources: each source alone, and the meta-embedding chosen on the training texts."""
    for name in sorted(SETS, key=("snips", "trec6", "sst2", "reuters_r8").__contains__, reverse=True):
        task = load_task(name)
        for who in SOURCES["cuts+base-en"]:
            if (key := f"classification {name} {who}") not in results:
                results.add(key, {"set": name, "vectors": who, **ridge(task, vectors_of(who))})
        for config, names in SOURCES.items():
            if (key := f"classification {name} joint {config}") in results:
                continue
            labels = task.targets["train"] if task.multilabel else task.single("train")
            chosen = choose_join(
                [vectors_of(who) for who in names],
                texts=task.texts["train"][:8000],
                labels=labels[:8000],
                methods=["concat"],
                whitenings=(0.0, 0.5),
                normalize=(True, False),
                n_folds=3,
            )
            row = {"set": name, "vectors": f"joint {config}", **ridge(task, chosen.vectors)}
            results.add(key, {**row, "chosen": chosen.settings.as_dict(), "cv": round(chosen.score, 4)})


def retrofitting(results: Results) -> None:
    """Spearman on the pairs that each set of vectors knows, before and after."""
    sets = ("EN-SIMLEX-999", "EN-SimVerb-3500", "EN-MEN-TR-3k", "EN-WS-353-ALL", "EN-RG-65")
    folder = LEXICONS / "counterfitting"
    ways = {
        "as it is": lambda vectors: vectors,
        "retrofitted to PPDB": lambda vectors: retrofit(
            vectors, read_lexicon(LEXICONS / "retrofitting/ppdb-xl.txt.gz")
        ),
        "retrofitted to FrameNet": lambda vectors: retrofit(
            vectors, read_lexicon(LEXICONS / "retrofitting/framenet.txt.gz")
        ),
        "counter-fitted": lambda vectors: counter_fit(
            vectors,
            read_word_pairs(folder / "ppdb_synonyms.txt.gz"),
            [
                *read_word_pairs(folder / "wordnet_antonyms.txt.gz"),
                *read_word_pairs(folder / "ppdb_antonyms.txt.gz"),
            ],
        ),
    }
    for who in SOURCES["cuts+base-en"]:
        for way, change in ways.items():
            if (key := f"retrofitting {who} {way}") in results:
                continue
            changed = change(vectors_of(who))
            scores = {name: changed.evaluate_similarity(PAIRS / f"{name}.tsv") for name in sets}
            row = {name: round(score.spearman, 4) for name, score in scores.items()}
            known = {name: score.n for name, score in scores.items()}
            results.add(key, {"vectors": who, "way": way, "spearman": row, "n_pairs": known})


@cache
def languages(name: str) -> tuple[WordVectors, WordVectors, list[Any], list[Any]]:
    """Source, target, pairs to learn from and pairs to test on; no test word is among the former."""
    if name == "en-fr":
        return english_french()
    folder = VECTORS / f"word2vec_wiki_{'es_en' if name == 'es-en' else 'it_en'}_50d"
    dictionaries = LEXICONS / "muse_dictionaries"
    if name == "es-en":
        source, target = (WordVectors.load(folder / f"word2vec.{code}.txt.gz") for code in ("es", "en"))
        train, test = (read_word_pairs(dictionaries / f"es-en.{part}.txt.gz") for part in ("0-5000", "5000-6500"))
        return source, target, train, test
    source, target = (WordVectors.load(folder / f"word2vec.{code}.txt.gz") for code in ("en", "it"))
    test = read_word_pairs(dictionaries / "en-it.5000-6500.txt.gz")
    asked = {word for word, _ in test}
    train = [pair for pair in read_word_pairs(dictionaries / "en-it.txt.gz") if pair[0] not in asked]
    return source, target, train, test


def english_french() -> tuple[WordVectors, WordVectors, list[Any], list[Any]]:
    """756 frequent words each, published in one space; every fourth word with a translation is for test."""
    folder = VECTORS / "fasttext_wiki_en_fr_300d"
    source, target = (WordVectors.load(folder / f"wiki.{code}.75x.vec.gz") for code in ("en", "fr"))
    pairs = read_word_pairs(LEXICONS / "muse_dictionaries" / "en-fr.txt.gz")
    known = set(source.words)
    asked = set(list(dict.fromkeys(word for word, _ in pairs if word in known))[::4])
    train, test = ([pair for pair in pairs if (pair[0] in asked) is wanted] for wanted in (False, True))
    return source, target, train, test


def reference(name: str) -> dict[str, Any]:
    """Orthogonal Procrustes by SciPy alone, on the same centred unit vectors; precision@1 by cosine."""
    from scipy.linalg import orthogonal_procrustes

    source, target, train, test = languages(name)
    sides = []
    for vectors in (source, target):
        table = vectors.take(np.arange(len(vectors))).astype(np.float64)
        table /= np.linalg.norm(table, axis=1, keepdims=True)
        table -= table.mean(axis=0)
        sides.append(table / np.linalg.norm(table, axis=1, keepdims=True))
    rows = [{word: row for row, word in enumerate(vectors.words)} for vectors in (source, target)]
    known = [(rows[0][a], rows[1][b]) for a, b in train if a in rows[0] and b in rows[1]]
    matrix, _ = orthogonal_procrustes(sides[0][[a for a, _ in known]], sides[1][[b for _, b in known]])
    right: dict[int, set[int]] = {}
    for a, b in test:
        if a in rows[0] and b in rows[1]:
            right.setdefault(rows[0][a], set()).add(rows[1][b])
    hits = [int(np.argmax(sides[1] @ (sides[0][a] @ matrix))) in found for a, found in right.items()]
    return {"pairs": len(known), "n_test": len(hits), "precision_cosine": round(float(np.mean(hits)), 4)}


def alignment(results: Results) -> None:
    """Precision@1 of induced lexicons, by the way the languages were aligned; and of the reference."""
    ways: dict[str, dict[str, Any]] = {
        "dictionary": {},
        "dictionary, refined": {"refinements": 5},
        "identical words": {"start": "identical"},
    }
    aligned(results, ways)
    if (key := "alignment en-fr as published") not in results:
        source, target, _, test = languages("en-fr")
        row = {"pair": "en-fr", "way": "as published", "pairs": 0}
        for kind in ("cosine", "csls"):
            score = precision_at(source, target, test, similarity=kind)
            row |= {f"precision_{kind}": round(score.precision[1], 4), "n_test": score.n}
        results.add(key, row)


def structure(results: Results) -> None:
    """The same from the shape of the spaces alone, which takes minutes."""
    aligned(results, {"structure": {"start": "structure"}})


def aligned(results: Results, ways: dict[str, dict[str, Any]]) -> None:
    """A row for each pair of languages and way."""
    for name in ("es-en", "en-it", "en-fr"):
        if (key := f"alignment {name} reference (SciPy)") not in results:
            results.add(key, {"pair": name, "way": "reference (SciPy)", **reference(name)})
        source, target, train, test = languages(name)
        for way, options in ways.items():
            if (key := f"alignment {name} {way}") in results:
                continue
            found = align(source, target, train if way.startswith("dictionary") else None, **options)
            row: dict[str, Any] = {"pair": name, "way": way, "pairs": found.n_pairs}
            for kind in ("cosine", "csls"):
                score = precision_at(found.source, found.target, test, similarity=kind)
                row |= {f"precision_{kind}": round(score.precision[1], 4), "n_test": score.n}
            results.add(key, row)


def zero_shot(results: Results) -> None:
    """English training texts, Spanish test texts, through 50-d noun vectors; beside training on Spanish."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if "zero-shot en-es" in results:
        return
    data = {}
    for code in ("en", "es"):
        folder = SHARED / "data" / f"mtod_{code}"
        for part in ("train", "test"):
            path = next(folder.glob(f"{part}.jsonl*"))
            data[code, part] = read_intents(unpacked(path))
    source, target, train, _ = languages("es-en")
    found = align(source, target, train)

    def fitted(vectors: WordVectors, code: str) -> Any:
        head = LogisticRegression(C=1.0, max_iter=300)
        return make_pipeline(EmbeddingVectorizer(vectors), StandardScaler(), head).fit(*data[code, "train"])

    english, spanish = fitted(found.target, "en"), fitted(found.source, "es")
    texts, truth = data["es", "test"]
    models = {
        "trained on Spanish": spanish,
        "zero-shot": with_vectors(english, found.source),
        "zero-shot, adapted to Spanish texts": with_vectors(english, found.source, texts=data["es", "train"][0]),
    }
    row: dict[str, Any] = {
        "vectors": "word2vec 50d, es 4,774 and en 6,637 words, mostly nouns",
        "known_tokens_es": round(known_share(found.source, texts), 4),
        "majority": round(100 * max(map(truth.count, set(truth))) / len(truth), 2),
        "english on English": round(100 * english.score(*data["en", "test"]), 2),
    }
    row |= {
        who: round(100 * float(np.mean(model.predict(texts) == np.array(truth))), 2) for who, model in models.items()
    }
    results.add("zero-shot en-es", row)


def known_share(vectors: WordVectors, texts: list[str]) -> float:
    """Of the running words."""
    words = [word for text in texts for word in text.split()]
    return float((vectors.rows(words) >= 0).mean())


def unpacked(path: Path) -> Path:
    """The file itself, or its unpacked copy in the scratch folder."""
    if path.suffix != ".gz":
        return path
    import gzip

    from common import SCRATCH

    copy = SCRATCH / path.parent.name / path.stem
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(gzip.decompress(path.read_bytes()))
    return copy


STEPS = {
    "alignment": alignment, "zero-shot": zero_shot, "similarity": similarity, "classification": classification,
    "retrofitting": retrofitting, "structure": structure,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Run some steps, or all."""
    if not set(arguments) <= set(STEPS):
        raise SystemExit(__doc__)
    results = Results("joint")
    for name in arguments or STEPS:
        STEPS[name](results)


if __name__ == "__main__":
    main(sys.argv[1:])
