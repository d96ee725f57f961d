"""What letters within words cost once compiled: words alone, letters beside them, and those with nothing kept.

One thread, interleaved. "Nothing kept" is the same kernel reading every n-gram of every word each time, and TF-IDF with
logistic regression on the same words and letters is scikit-learn's way. Accuracy on test is of the defaults; nothing is
chosen by it.

    python benchmarks/bench_letters.py
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from typing import Any  # noqa: E402  (thread counts are read when the libraries are imported)

import numpy as np  # noqa: E402
from common import Results  # noqa: E402
from ours import classifier  # noqa: E402
from tasks import load_task  # noqa: E402

import tlclassic  # noqa: E402
from tlclassic.evaluation import interleaved  # noqa: E402
from tlclassic.kernels import load  # noqa: E402

SETS = ("trec6", "stackoverflow20", "sst2", "umsab", "ag_news", "reuters_r8")
LETTERS, TEXTS, SKLEARN_TEXTS, REPEATS = (3, 5), 20_000, 2_000, 7
NEVER = 1 << 60


def compiled(name: str, **options: Any) -> Any:
    """The default classifier with these options in int8, and its accuracy on test."""
    task = load_task(name)
    fitted = classifier(**options).fit(task.texts["train"], task.single("train"))
    model = tlclassic.compile(fitted, dtype="int8")
    return model, round(100 * float(np.mean(model.predict(task.texts["test"]) == np.array(task.single("test")))), 2)


def forgetful(model: Any) -> Any:
    """The same classifier, of which the kernel keeps nothing between words."""
    copy = tlclassic.CompiledClassifier(model.metadata, model._arrays)
    families = [family for family in copy._families if family]
    copy._scorer = load("score").Scorer(copy._arrays["bias"], families, NEVER, NEVER)
    return copy


def pipeline(name: str) -> Any:
    """scikit-learn's own."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    task = load_task(name)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=LETTERS, min_df=2)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2)
    return make_pipeline(make_union(words, letters), LogisticRegression(max_iter=200)).fit(
        task.texts["train"], task.single("train")
    )


def measure(name: str) -> dict[str, Any]:
    """One row."""
    texts = load_task(name).texts["test"]
    many, few = (texts * (1 + TEXTS // len(texts)))[:TEXTS], texts[:SKLEARN_TEXTS]
    words, of_words = compiled(name)
    both, of_both = compiled(name, char_ngrams=LETTERS)
    forgets, peer = forgetful(both), pipeline(name)
    same = np.array_equal(both.decision_function(many), forgets.decision_function(many))
    timed = {
        "words": lambda: words.predict(many),
        "words and letters": lambda: both.predict(many),
        "nothing kept": lambda: forgets.predict(many),
        "scikit-learn": lambda: peer.predict(few),
    }
    times = interleaved(timed, repeats=REPEATS)
    rates = {who: (len(few) if who == "scikit-learn" else len(many)) / times[who]["median"] for who in timed}
    return {
        "set": name,
        "texts": len(many),
        "same results": bool(same),
        "texts_per_second": {who: round(rate) for who, rate in rates.items()},
        "accuracy": {"words": of_words, "words and letters": of_both},
        "kept_bytes": both._scorer.memo_bytes,
        "repeats": REPEATS,
    }


def main() -> None:
    """Run what is missing."""
    results = Results("letters")
    for name in SETS:
        if name not in results:
            results.add(name, measure(name))


if __name__ == "__main__":
    main()
