"""The peers at their best honest settings: how each is trained and how its batch prediction is called fastest.

fastText is normalised as its own classification example does (punctuation apart, lower case) where accuracy is
compared, and gets the raw text where speed is.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import SCRATCH, SHARED
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import LinearSVC

FASTTEXT_VERSION = "0.9.3"
LABEL = "__label__"
#: With fewer, fastText 0.9.3 leaves part of its matrix as it finds the memory (`DenseMatrix::uniformThread` fills a
#: tenth a thread), and now and then stops with "Encountered NaN".
THREADS = 10
VECTORS = SHARED / "vectors" / "minilm_static_128d" / "minilm-static.40k.128d.txt.gz"
_APART = re.compile(r"([.!?,'/();:\"])")
Predict = Callable[[list[str]], Any]


def fasttext_text(text: str) -> str:
    """One line as fastText's classification example normalises it."""
    return " ".join(_APART.sub(r" \1 ", text).lower().split())


def fasttext_file(path: Path, texts: Sequence[str], labels: Sequence[Sequence[str]], normalise: bool = True) -> Path:
    """A training file; a text may have several labels.

    Shuffled: fastText takes the lines in order, and in several of the sets they are sorted by label.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in np.random.default_rng(0).permutation(len(texts)):
            text, names = texts[row], labels[row]
            line = fasttext_text(text) if normalise else " ".join(text.split())
            file.write(" ".join([*(LABEL + name.replace(" ", "_") for name in names), line]) + "\n")
    return path


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Threads started within share one processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class FastText:
    """A supervised fastText model, trained on one processor; predictions through the binding's `multilinePredict`.

    The package's own `predict` of one text breaks under NumPy 2, and that of a list is this call after a check of
    every text.
    """

    def __init__(self, path: Path, **settings: Any) -> None:
        import fasttext

        with one_processor():
            self.model = fasttext.train_supervised(input=str(path), verbose=0, thread=THREADS, **settings)

    def predict(self, texts: list[str]) -> list[Any]:
        """A list of labels a text; every text has to end its line."""
        return self.model.f.multilinePredict([text + "\n" for text in texts], 1, 0.0, "strict")[0]

    def scores(self, texts: list[str], classes: Sequence[str], normalise: bool = True) -> np.ndarray:
        """Probabilities, (n, classes); zero for a class that the model does not list."""
        place = {LABEL + str(name).replace(" ", "_"): column for column, name in enumerate(classes)}
        lines = [(fasttext_text(text) if normalise else " ".join(text.split())) + "\n" for text in texts]
        labels, probabilities = self.model.f.multilinePredict(lines, -1, 0.0, "strict")
        found = np.zeros((len(texts), len(classes)))
        for row, (names, values) in enumerate(zip(labels, probabilities, strict=True)):
            for name, value in zip(names, values, strict=True):
                found[row, place[str(name)]] = value
        return found


def fasttext_program() -> Path:
    """fastText's command-line program, built from the package's source with the flags of its own setup.py."""
    folder = SCRATCH / "fasttext-program"
    program = folder / "fasttext"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        download = ["pip", "download", "-q", f"fasttext=={FASTTEXT_VERSION}", "--no-binary", ":all:", "--no-deps"]
        subprocess.run([sys.executable, "-m", *download, "--no-build-isolation", "-d", str(folder)], check=True)
        with tarfile.open(next(folder.glob("fasttext-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        sources = [str(path) for path in sorted(folder.glob("fasttext-*/src/*.cc"))]
        flags = ["-O3", "-funroll-loops", "-std=c++17", "-pthread", "-march=native"]
        subprocess.run(["g++", *flags, *sources, "-o", str(program)], check=True)
    return program


def word_vectors_file() -> Path:
    """The static word vectors as fastText's `-pretrainedVectors` reads them: with a header line."""
    import gzip

    path = SCRATCH / "minilm-static.vec"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = gzip.decompress(VECTORS.read_bytes()).decode().splitlines()
        width = len(lines[0].split(" ")) - 1
        path.write_text(f"{len(lines)} {width}\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


class NBSVM(ClassifierMixin, BaseEstimator):
    """Naive-Bayes SVM (Wang & Manning 2012) on a 0/1 count matrix, one versus rest.

    Smoothing alpha, and the interpolation of the paper: w' = (1 - beta) * mean|w| + beta * w.
    """

    def __init__(self, C: float = 1.0, alpha: float = 1.0, beta: float = 0.25) -> None:
        self.C = C
        self.alpha = alpha
        self.beta = beta

    def fit(self, X: Any, Y: np.ndarray) -> NBSVM:
        """``Y`` is the 0/1 matrix of classes."""
        fitted = [self._fit_one(X, Y[:, column]) for column in range(Y.shape[1])]
        self.coef_, self.intercept_ = np.vstack([row[0] for row in fitted]), np.array([row[1] for row in fitted])
        return self

    def _fit_one(self, X: Any, target: np.ndarray) -> tuple[np.ndarray, float]:
        positive = np.asarray(X[target == 1].sum(axis=0)).ravel() + self.alpha
        negative = np.asarray(X[target == 0].sum(axis=0)).ravel() + self.alpha
        ratio = np.log((positive / positive.sum()) / (negative / negative.sum()))
        scaled = X.copy()
        scaled.data = ratio[X.indices]
        svm = LinearSVC(C=self.C).fit(scaled, target)
        weights = svm.coef_.ravel()
        mixed = (1 - self.beta) * np.abs(weights).mean() + self.beta * weights
        return ratio * mixed, float(svm.intercept_[0]) * self.beta

    def decision_function(self, X: Any) -> np.ndarray:
        """Margins, (n, classes)."""
        return X @ self.coef_.T + self.intercept_


def spacy_bag_of_words(texts: list[str], labels: list[str], epochs: int = 3) -> Predict:
    """A blank English pipeline with spaCy's bag-of-words classifier, called in batches through `nlp.pipe`."""
    import spacy
    from spacy.training import Example

    nlp = spacy.blank("en")
    model = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 2}
    pipe = nlp.add_pipe("textcat", config={"model": {**model, "no_output_layer": False, "length": 1 << 20}})
    names = sorted(set(labels))
    for name in names:
        pipe.add_label(name)
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": {name: float(name == label) for name in names}})
        for text, label in zip(texts, labels, strict=True)
    ]
    optimizer = nlp.initialize(lambda: examples[:200])
    for _ in range(epochs):
        for start in range(0, len(examples), 200):
            nlp.update(examples[start : start + 200], sgd=optimizer)
    return lambda new: [max(doc.cats, key=doc.cats.get) for doc in nlp.pipe(new, batch_size=1000)]


def static_model() -> Any:
    """A model2vec static model with the rows of the shared word vectors, one token a word."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    from tlclassic import WordVectors

    vectors = WordVectors.load(VECTORS)
    vocabulary = {word: row for row, word in enumerate(vectors.words)}
    vocabulary["[UNK]"] = len(vocabulary)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    table = np.vstack([vectors.take(np.arange(len(vectors))), np.zeros((1, vectors.dim), np.float32)])
    return StaticModel(table, tokenizer, normalize=False)


def model2vec_pipeline(texts: list[str], labels: list[str]) -> Predict:
    """model2vec's inference pipeline: static vectors and one linear layer, fitted by scikit-learn.

    Its own training needs torch; a layer is what it would learn without hidden layers, and the fastest head it has.
    """
    from model2vec.inference import StaticModelPipeline
    from model2vec.inference.mlp import Activation, Layer, MLPHead
    from sklearn.linear_model import LogisticRegression

    model = static_model()
    encoded = model.encode(texts, use_multiprocessing=False, show_progress_bar=False)
    fitted = LogisticRegression(C=10.0, max_iter=300).fit(encoded, labels)
    weights = fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
    pipeline = StaticModelPipeline(model, MLPHead([Layer(*weights)], Activation.SOFTMAX, fitted.classes_))
    return lambda new: pipeline.predict(new, use_multiprocessing=False)


def sigmoid(margins: np.ndarray) -> np.ndarray:
    """Margins as numbers in 0..1, so that thresholds are found alike for all."""
    return expit(margins)
