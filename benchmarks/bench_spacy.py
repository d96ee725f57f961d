"""Inside spaCy: backbones for tagger, parser, NER and textcat; components beside spaCy's own. Resumable by row.

Every pipeline is trained the same way: PASSES passes over LIMIT sentences (spacy_corpora), one a document,
batches that grow from 300 to 1,000 words, Adam at 0.001, dropout 0.1, one seed. After each pass it is measured on dev,
and the best one is measured on test, once. Attachment scores leave out punctuation, as spaCy's scorer does; tokens are
the corpus's own. "Words a second" is `nlp.pipe` from raw text with the tokeniser, in processor time of one thread.
MiniLM lies in the folder $TLCLASSIC_ENCODER, exported and quantised (`tlclassic encoder export`, `quantize`).

    python benchmarks/bench_spacy.py train|joint|components|threads      # what is missing of these, or of all
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import spacy  # noqa: E402  (thread counts are read when the libraries are imported)
from common import SCRATCH, Results, dataset  # noqa: E402
from spacy.training import Example  # noqa: E402
from spacy.util import compounding, load_model_from_config, minibatch  # noqa: E402
from spacy_corpora import corpus, examples, n_words, texts  # noqa: E402
from thinc.api import Config, fix_random_seed  # noqa: E402

import tlclassic  # noqa: E402
from tlclassic.evaluation import interleaved  # noqa: E402
from tlclassic.spacy_ext import register  # noqa: E402
from tlclassic.spacy_ext.configs import init_config  # noqa: E402

PASSES = 2
#: Texts that the classifiers of `components` are trained on.
TEXTS = 4000
TASKS = {"ewt": ["tagger", "parser"], "conll": ["ner"], "sst2": ["textcat"]}
#: What is shown of each corpus, and what is chosen by: the first, or their mean.
METRICS = {"ewt": ["dep_las", "dep_uas", "tag_acc"], "conll": ["ents_f"], "sst2": ["cats_macro_f"]}
HASH_EMBED_CNN = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "width": 96,
    "depth": 4,
    "embed_size": 2000,
    "window_size": 1,
    "maxout_pieces": 3,
    "subword_features": True,
    "pretrained_vectors": None,
}
BACKBONES = ("HashEmbedCNN", "StaticVectors base-en", "OnnxTok2Vec MiniLM fp32", "OnnxTok2Vec MiniLM int8")


def pipeline(tasks: list[str], backbone: str, threads: int = 1) -> Any:
    """An untrained pipeline; the default has the heads of the others, and spaCy's own Tok2Vec."""
    kind = backbone.split()[0]
    if kind == "OnnxTok2Vec":
        folder, file = os.environ["TLCLASSIC_ENCODER"], backbone.split()[-1]
        text = init_config(tasks, "onnx", encoder=folder, file=file, store="refer")
    else:
        text = init_config(tasks, "static", store="refer")
    config = Config().from_str(text, interpolate=False)
    if kind == "HashEmbedCNN":
        config["components"]["tok2vec"]["model"] = HASH_EMBED_CNN
    if kind == "OnnxTok2Vec":
        config["components"]["tok2vec"]["model"]["threads"] = threads
    return load_model_from_config(config, auto_fill=True)


def measure(nlp: Any, names: list[str], part: str) -> dict[str, float]:
    """The scores of each corpus."""
    found = {}
    for name in names:
        scores = nlp.evaluate(examples(corpus(name, part), nlp.vocab), batch_size=64)
        found |= {metric: round(100 * scores[metric], 2) for metric in METRICS[name]}
    return found


def train(nlp: Any, names: list[str], passes: int = PASSES) -> dict[str, Any]:
    """Train on the union of corpora; the best pass on dev is kept, and measured on test."""
    fix_random_seed(0)
    shuffled = random.Random(0)
    rows = [example for name in names for example in examples(corpus(name, "train"), nlp.vocab)]
    begin, started = time.process_time(), time.perf_counter()
    optimizer = nlp.initialize(lambda: rows)
    sizes = compounding(300.0, 1000.0, 1.005)
    best, kept, history = -1.0, b"", []
    for _ in range(passes):
        shuffled.shuffle(rows)
        for batch in batches_of_words(rows, sizes):
            nlp.update(batch, drop=0.1, sgd=optimizer)
        scores = measure(nlp, names, "dev")
        history.append(scores)
        chosen = sum(scores[METRICS[name][0]] for name in names)
        if chosen > best:
            best, kept = chosen, nlp.to_bytes()
    seconds = time.process_time() - begin
    words = passes * sum(n_words(corpus(name, "train")) for name in names)
    wall = time.perf_counter() - started
    nlp.from_bytes(kept)
    return {
        "dev": history, "test": measure(nlp, names, "test"), "passes": passes, "words": words,
        "train_cpu_s": round(seconds, 1), "train_wall_s": round(wall, 1), "train_words_per_s": round(words / seconds),
    }  # fmt: skip


def batches_of_words(rows: list[Example], sizes: Any) -> Any:
    """Batches of about so many words."""
    size, held, count = next(sizes), [], 0
    for example in rows:
        held.append(example)
        count += len(example.predicted)
        if count >= size:
            yield held
            size, held, count = next(sizes), [], 0
    if held:
        yield held


def words_per_second(nlp: Any, name: str) -> int:
    """Words of the corpus's test part in a second of processor time, tokeniser included; the better of two."""
    raw = texts(corpus(name, "test")[:1000])
    shortest = float("inf")
    for _ in range(2):
        start = time.process_time()
        count = sum(len(doc) for doc in nlp.pipe(raw, batch_size=64))
        shortest = min(shortest, (time.process_time() - start) / count)
    return round(1 / shortest)


def bench_train(results: Results) -> None:
    """Each corpus by itself, on each backbone."""
    for name in ("ewt", "conll"):
        for backbone in BACKBONES:
            key = f"train {name} {backbone}"
            if key not in results:
                nlp = pipeline(TASKS[name], backbone)
                row = train(nlp, [name])
                _forget(nlp)
                results.add(
                    key, {"corpus": name, "backbone": backbone, **row, "words_per_s": words_per_second(nlp, name)}
                )


def _forget(nlp: Any) -> None:
    """Nothing that training kept may speed up prediction: cached states of documents."""
    for node in nlp.get_pipe("tok2vec").model.walk():
        for shim in node.shims:
            if hasattr(shim, "cache"):
                shim.cache = type(shim.cache)(0)


def bench_joint(results: Results) -> None:
    """Tagger, parser, NER and textcat on one backbone from three corpora, beside a pipeline for each."""
    backbone = "StaticVectors base-en"
    if (key := f"train sst2 {backbone}") not in results:
        nlp = pipeline(TASKS["sst2"], backbone)
        row = train(nlp, ["sst2"])
        results.add(key, {"corpus": "sst2", "backbone": backbone, **row, "words_per_s": words_per_second(nlp, "sst2")})
    if (key := f"joint {backbone}") not in results:
        names = list(TASKS)
        nlp = pipeline([task for name in names for task in TASKS[name]], backbone)
        row = train(nlp, names)
        results.add(key, {"backbone": backbone, **row, "words_per_s": words_per_second(nlp, "ewt")})


def bench_threads(results: Results) -> None:
    """Words a second of wall time of tagger and parser over MiniLM, its encoder on one thread and on two.

    Both pipelines of a graph are trained on a few sentences alone: what they have learned hardly changes their speed.
    """
    few, raw = corpus("ewt", "train")[:200], texts(corpus("ewt", "test")[:1000])
    for file in ("fp32", "int8"):
        if (key := f"threads {file}") in results:
            continue
        timed = {}
        for threads in (1, 2):
            nlp = pipeline(TASKS["ewt"], f"OnnxTok2Vec MiniLM {file}", threads)
            rows = examples(few, nlp.vocab)
            optimizer = nlp.initialize(lambda rows=rows: rows)
            for batch in minibatch(rows, 20):
                nlp.update(batch, sgd=optimizer)
            _forget(nlp)
            timed[str(threads)] = lambda nlp=nlp: list(nlp.pipe(raw, batch_size=128))
        times = interleaved(timed, repeats=5)
        words = sum(map(len, timed["1"]()))
        rates = {threads: round(words / times[threads]["median"]) for threads in timed}
        results.add(key, {"file": file, "words": words, "words_per_s": rates})


# -- components ------------------------------------------------------------------------------------------------------


def best_time(call: Callable[[], Any], repeats: int = 7) -> float:
    """The shortest processor time of several calls, in seconds."""
    shortest = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        call()
        shortest = min(shortest, time.process_time() - start)
    return shortest


def bag_of_words(train_part: Any, dev_part: Any) -> Any:
    """spaCy's bag-of-words textcat, the best of five passes on dev."""
    nlp = spacy.blank("en")
    model = {
        "@architectures": "spacy.TextCatBOW.v3",
        "exclusive_classes": True,
        "ngram_size": 2,
        "no_output_layer": False,
    }
    nlp.add_pipe("textcat", config={"model": {**model, "length": 262144}})
    classes = sorted(set(train_part[1]))

    def rows(part: Any) -> list[Example]:
        return [
            Example.from_dict(nlp.make_doc(text), {"cats": {name: float(name == label) for name in classes}})
            for text, label in zip(*part, strict=True)
        ]

    fix_random_seed(0)
    held = rows(train_part)
    optimizer = nlp.initialize(lambda: held)
    shuffled = random.Random(0)
    best, kept = -1.0, b""
    for _ in range(5):
        shuffled.shuffle(held)
        for batch in minibatch(held, 64):
            nlp.update(batch, drop=0.1, sgd=optimizer)
        score = accuracy(nlp, *dev_part)
        if score > best:
            best, kept = score, nlp.to_bytes()
    return nlp.from_bytes(kept)


def accuracy(nlp: Any, documents: list[str], labels: list[str]) -> float:
    """The share of texts whose likeliest category is right."""
    found = [max(doc.cats, key=doc.cats.__getitem__) for doc in nlp.pipe(documents)]
    return sum(a == b for a, b in zip(found, labels, strict=True)) / len(labels)


def compiled(train_part: Any, dev_part: Any, path: Path) -> Any:
    """tlclassic's classifier as a component: strength chosen on dev, compiled to int8."""
    models = [tlclassic.NgramClassifier(C=C, word_ngrams=(1, 2)).fit(*train_part) for C in (1.0, 3.0, 10.0, 30.0)]
    best = max(models, key=lambda model: model.score(*dev_part))
    tlclassic.compile(best, dtype="int8").save(path)
    nlp = spacy.blank("en")
    nlp.add_pipe("tlclassic_textcat", config={"model": str(path)})
    return nlp


def bench_components(results: Results) -> None:
    """Accuracy and time of a component on documents that are tokenised already."""
    for name in ("trec6", "ag_news"):
        if (key := f"component {name}") not in results:
            results.add(key, component_row(name, dataset(name)))


def component_row(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """One set: accuracy of both, microseconds a document of each part."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    train_part = [column[:TEXTS] for column in data["train"]]
    ours = compiled(train_part, data["dev"], SCRATCH / f"spacy-{name}.tlc")
    theirs = bag_of_words(train_part, data["dev"])
    sample = (data["test"][0] * 4)[:2000]
    docs = [ours.make_doc(text) for text in sample]
    their_docs = [theirs.make_doc(text) for text in sample]
    component, textcat = ours.get_pipe("tlclassic_textcat"), theirs.get_pipe("textcat")

    def each(call: Callable[[], Any], repeats: int = 7) -> float:
        return round(1e6 * best_time(call, repeats) / len(sample), 2)

    row = {
        "set": name, "tokens": round(sum(map(len, docs)) / len(docs), 1),
        "accuracy": round(100 * accuracy(ours, *data["test"]), 2),
        "accuracy_bow": round(100 * accuracy(theirs, *data["test"]), 2),
        "us_tokenizer": each(lambda: [ours.make_doc(text) for text in sample], 3),
        "us_component": each(lambda: list(component.pipe(docs))),
        "us_doc_text": each(lambda: [doc.text for doc in docs]),
        "us_bow": each(lambda: list(textcat.pipe(their_docs))),
    }  # fmt: skip
    return {**row, "times": round(row["us_bow"] / row["us_component"], 1)}


BENCHES = {"components": bench_components, "train": bench_train, "joint": bench_joint, "threads": bench_threads}


def main() -> None:
    """Run the benches named on the command line, or all."""
    register()
    results = Results("spacy")
    for name in sys.argv[1:] or list(BENCHES):
        BENCHES[name](results)


if __name__ == "__main__":
    main()
