"""Taggers: slots and intents (snips, mtod), entities (conll2003), parts of speech (UD English EWT); speed.

Settings are chosen among a few on conll2003's dev and taken as they are to the other sets; the test file is read once
for a row. Entity F1 as the shared task counts it, token accuracy of parts of speech and of morphology (all features of
a token right), accuracy of intents, in percent. Resumable: finished rows are kept.

    python benchmarks/bench_tagging.py choose               # dev scores of the candidates
    python benchmarks/bench_tagging.py test [SET ...]       # the chosen one on test, and its compiled form
    python benchmarks/bench_tagging.py states [SET ...]     # with an encoder's token states beside the features
    python benchmarks/bench_tagging.py steps [SET ...]      # with more and larger steps, features seen twice
    python benchmarks/bench_tagging.py finetuned [SET ...]  # the encoder fine-tuned on the tags, and its states
    python benchmarks/bench_tagging.py speed                # tokens a second on one thread, beside spaCy's ner
    python benchmarks/bench_tagging.py                      # all that needs no encoder, but the steps

The encoder is the folder that ``TLCLASSIC_ENCODER`` names, of which two layers' states are taken, chosen on dev: on
conll2003 the third and the fifth (93.4) before the second, fourth and sixth (92.9 to 93.3) and the last alone; on a
third of snips' sentences the third and the last (92.4, on dev and on 1,400 sentences held out of train) before the last
alone (92.1) and the third and the fifth (92.0). Features have to be seen twice there, which gained 0.4 on that third
and nothing on conll2003. Fine-tuning is ``fine_tune_tokens`` as it comes, its best epoch told by dev; the tagger takes
the last layer's states then.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from common import SCRATCH, SHARED, Results  # noqa: E402

from tlclassic import TokenTagger  # noqa: E402
from tlclassic.data import load_tokens  # noqa: E402
from tlclassic.distillation.layers import expose_layers  # noqa: E402
from tlclassic.evaluation import interleaved  # noqa: E402
from tlclassic.tagging import CompiledTagger, EncoderStates  # noqa: E402

#: Set → its folder, suffix of its files, names of its tasks' columns. Two tasks of tags are learned as each alone (see
#: bench_tagging_joint.py), so that morphology, with 230 tags a matter of minutes, has a row of its own.
SETS: dict[str, tuple[str, str, list[str]]] = {
    "conll2003": ("conll2003", "conll", ["ner"]),
    "snips": ("snips", "jsonl", ["slots", "intent"]),
    "ud_english_ewt": ("ud_english_ewt", "conllu", ["upos"]),
    "mtod_en": ("mtod_en", "jsonl", ["slots", "intent"]),
    "ud_english_ewt morphology": ("ud_english_ewt", "conllu", ["feats"]),
}
CANDIDATES: dict[str, dict[str, Any]] = {
    "default": {},
    "no vectors": {"vectors": None},
    "n-grams": {"dropout": 0.5, "char_ngrams": (2, 4)},
}
#: Of an encoder of six layers; of other sets those of snips.
LAYERS = {"conll2003": [3, 5], "snips": [3, 6]}
#: On snips' dev: 94.59 for the default's 93.93.
STEPS: dict[str, Any] = {"min_count": 2, "learning_rate": 0.4, "epochs": 20}
#: Where they are tried; a fit of the others takes minutes.
CHOSEN_ON = "conll2003"
NAMES = ["token", "pos", "chunk", "ner"]


def part(name: str, which: str) -> tuple[list[list[str]], dict[str, list[Any]]]:
    """Sentences and targets of train, dev or test."""
    folder, suffix, columns = SETS[name]
    path = SHARED / "data" / folder / f"{which}.{suffix}"
    if not path.exists():
        path = path.with_name(path.name + ".gz")
    data = load_tokens(path, columns=columns, names=NAMES if suffix == "conll" else None)
    return data.sentences, data.columns


def percent(scores: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Each task's main score."""
    return {name: round(100 * facts["score"], 2) for name, facts in scores.items()}


def choose(results: Results) -> None:
    """A dev row for every candidate."""
    for label, options in CANDIDATES.items():
        if (key := f"{CHOSEN_ON} dev {label}") in results:
            continue
        start = time.perf_counter()
        tagger = TokenTagger(**options).fit(*part(CHOSEN_ON, "train"))
        seconds = time.perf_counter() - start
        row = {"set": CHOSEN_ON, "options": dict(options), "dev": percent(tagger.evaluate(*part(CHOSEN_ON, "dev")))}
        results.add(key, {**row, "seconds": round(seconds, 1)})


def chosen(results: Results) -> dict[str, Any]:
    """The candidate with the best dev score."""
    rows = results.data["rows"]
    return max(CANDIDATES.items(), key=lambda item: rows[f"{CHOSEN_ON} dev {item[0]}"]["dev"]["ner"])[1]


def compiled_path(name: str) -> Path:
    """Where a set's compiled tagger lies."""
    path = SCRATCH / "taggers" / f"{name}.tlc"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def final(name: str, results: Results, kind: str = "test", **more: Any) -> None:
    """The chosen settings on test: the tagger, and what its compiled form keeps."""
    if (key := f"{name} {kind}") in results:
        return
    options = {**chosen(results), **more}
    tagger = TokenTagger(**options).fit(*part(name, "train"))
    small = tagger.compile()
    # Of other settings beside it: `speed` reads the file of the chosen ones.
    path = compiled_path(name if kind == "test" else f"{name} {kind}")
    small.save(path)
    test = part(name, "test")
    row = {
        "set": name,
        "options": options,
        "n_test": len(test[0]),
        "dev": percent(tagger.evaluate(*part(name, "dev"))),
        "test": percent(tagger.evaluate(*test)),
        "test_compiled": percent(small.evaluate(*test)),
        "features": tagger.model_.n_features,
        "features_compiled": small.model_.n_features,
        "bytes_compiled": path.stat().st_size,
    }
    results.add(key, row)


def steps(name: str, results: Results) -> None:
    """As :func:`final`, with the settings that were best on the dev part of snips."""
    final(name, results, "steps", **STEPS)


def states(name: str, results: Results) -> None:
    """With the encoder's token states beside the chosen features."""
    if (key := f"{name} states") in results:
        return
    layers = LAYERS.get(name, LAYERS["snips"])
    if not (layered := SCRATCH / f"layers {layers[0]} {layers[1]}").exists():
        expose_layers(os.environ["TLCLASSIC_ENCODER"], layered, layers)
    encoder = EncoderStates(layered)
    options = {**chosen(results), "min_count": 2}
    tagger = TokenTagger(**options, states=encoder).fit(*part(name, "train"))
    row = {"set": name, "options": options, "layers": layers, "dev": percent(tagger.evaluate(*part(name, "dev")))}
    results.add(key, {**row, "test": percent(tagger.evaluate(*part(name, "test")))})


def finetuned(name: str, results: Results) -> None:
    """The encoder fine-tuned on a task of tags: its own answers, and a tagger over its states, as of seed 0."""
    from tlclassic.encoders import OnnxEncoder

    if (key := f"{name} finetuned") in results:
        return
    folder, task = SCRATCH / "tagging-encoders" / name, SETS[name][2][0]
    data = {which: part(name, which) for which in ("train", "dev", "test")}
    start = time.perf_counter()
    if not folder.exists():
        from bench_finetune import progress

        from tlclassic.finetune import fine_tune_tokens

        folder.parent.mkdir(parents=True, exist_ok=True)
        tagged = {which: (sentences, {task: columns[task]}) for which, (sentences, columns) in data.items()}
        fine_tune_tokens(
            os.environ["TLCLASSIC_ENCODER"], *tagged["train"], folder, dev=tagged["dev"], int8=False, threads=1,
            on_progress=progress,
        )  # fmt: skip
    seconds = time.perf_counter() - start
    states = EncoderStates(OnnxEncoder(folder, file="fp32", threads=1))
    row: dict[str, Any] = {"set": name, "task": task, "seconds": round(seconds)}
    for which in ("dev", "test"):
        row[f"{which}_encoder"] = percent({task: own_score(folder, states, *data[which], task)})[task]
    options = {**chosen(results), "min_count": 2}
    tagger = TokenTagger(**options, states=states).fit(*data["train"])
    row |= {which: percent(tagger.evaluate(*data[which])) for which in ("dev", "test")}
    results.add(key, {**row, "options": options})


def own_score(
    folder: Path, states: EncoderStates, sentences: list[list[str]], columns: dict[str, list[Any]], task: str
) -> dict[str, Any]:
    """Entity F1, or accuracy, of the likeliest tags by the head that the encoder was fine-tuned with."""
    from tlclassic.heads.encoder_heads import TOKEN_HEADS_FILE, read_heads
    from tlclassic.tagging import entity_scores, token_accuracy
    from tlclassic.tagging.schemes import detect_scheme

    head = read_heads(folder / TOKEN_HEADS_FILE)[task]
    found = [head.classes[head.logits(own).argmax(axis=1)].tolist() for own in states(sentences)]
    truth = columns[task]
    marks = detect_scheme(tag for tags in truth for tag in tags) != "none"
    return {"score": entity_scores(truth, found).f1 if marks else token_accuracy(truth, found)}


def spacy_ner(sentences: list[list[str]], targets: dict[str, list[Any]]) -> Any:
    """A pipeline with spaCy's own ``ner`` in its default architecture after one update; it need not be right."""
    import spacy
    from spacy.tokens import Doc, Span
    from spacy.training import Example

    from tlclassic.tagging import entities

    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner")
    examples = []
    for words, tags in zip(sentences[:200], targets["ner"][:200], strict=True):
        doc = Doc(nlp.vocab, words)
        doc.ents = [Span(doc, first, last, label=kind) for kind, first, last in entities(tags)]
        examples.append(Example(Doc(nlp.vocab, words), doc))
        for span in doc.ents:
            ner.add_label(span.label_)
    nlp.initialize(lambda: examples)
    nlp.update(examples)
    return nlp


def speed(results: Results) -> None:
    """Tokens a second of the compiled tagger and of spaCy's ner on conll2003's dev part, one thread, in turn."""
    if "speed" in results or not compiled_path("conll2003").exists():
        return
    from spacy.tokens import Doc

    sentences, _ = part("conll2003", "dev")
    nlp = spacy_ner(*part("conll2003", "train"))
    few = sentences[:400]
    tagger = CompiledTagger.load(compiled_path("conll2003"))

    def run_spacy() -> None:
        for _ in nlp.get_pipe("ner").pipe((Doc(nlp.vocab, words) for words in few), batch_size=128):
            pass

    def count(of: list[list[str]]) -> int:
        return sum(map(len, of))

    times = interleaved({"tlclassic": lambda: tagger.predict(sentences), "spacy": run_spacy}, repeats=5)
    ours, theirs = count(sentences) / times["tlclassic"]["median"], count(few) / times["spacy"]["median"]
    rates = {"tlclassic": round(ours), "spacy_ner": round(theirs)}
    results.add("speed", {"tokens_per_second": rates, "ratio": round(ours / theirs, 1), "n_sentences": len(sentences)})


def main(arguments: list[str]) -> None:
    """Run one step for some sets, or all that is missing."""
    results = Results("tagging")
    kinds: dict[str, Any] = {"test": final, "steps": steps, "states": states, "finetuned": finetuned}
    match arguments:
        case []:
            choose(results)
            for name in SETS:
                final(name, results)
            speed(results)
        case ["choose"]:
            choose(results)
        case ["speed"]:
            speed(results)
        case [kind, *names] if kind in kinds:
            for name in names or SETS:
                kinds[kind](name, results)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
