"""Transformer encoders on the CPU: speed, parity, STS-B and memory, against sentence-transformers on the same weights.

One process, candidates in turn (A B C A B C ...), medians. The texts of the speed row are sentences and documents,
mixed. sentence-transformers' ONNX back-end is measured where optimum-onnx is installed. That package asks for an older
transformers than fine-tuning does, so its way is built here as well: texts sorted by length, batches of 32 padded to
their longest, one call of onnxruntime for each, its tokenizer. An environment with the back-end itself:

    pip install torch==2.13.0
    pip install sentence-transformers==5.2.3 transformers==4.57.6 optimum-onnx==0.1.0 onnxruntime==1.32.0 onnx==1.23.2
    pip install --no-deps tlclassic-*.whl

    python benchmarks/bench_encoder.py MODEL_FOLDER [--parts speed,parity,stsb,memory] [--test]

MODEL_FOLDER holds the weights for torch and ``onnx/model.onnx``; ``onnx/model_qint8.onnx`` is made if it is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "2"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = _THREADS
os.environ["TOKENIZERS_PARALLELISM"] = "true"

import numpy as np  # noqa: E402  (thread counts are read when the libraries are imported)
from common import SHARED, Results  # noqa: E402

from tlclassic.encoders import OnnxEncoder  # noqa: E402
from tlclassic.encoders.quantize import QUANTIZED_NAME, float_graph, quantize  # noqa: E402
from tlclassic.evaluation import interleaved  # noqa: E402

BATCH = 32
PARTS = ("speed", "parity", "stsb", "memory")
TORCH, PADDED, PADDED_INT8 = "sentence-transformers, torch", "padded ONNX, fp32", "padded ONNX, int8"
BACKEND, BACKEND_INT8 = "sentence-transformers, ONNX fp32", "sentence-transformers, ONNX int8"
PEERS = ("sentence-transformers", "transformers", "torch", "optimum", "optimum-onnx")
FP32, INT8 = "tlclassic fp32", "tlclassic int8"


def mixed_texts(count: int) -> list[str]:
    """Three sentences for each document, in random order, always the same."""
    folder = SHARED / "data" / "imdb_unsup"
    draw = random.Random(0)
    sentences = draw.sample(lines(folder / "sentences.txt.gz", 50_000), count - count // 4)
    documents = draw.sample(lines(folder / "docs.txt.gz", 10_000), count // 4)
    texts = sentences + documents
    draw.shuffle(texts)
    return texts


def lines(path: Path, most: int) -> list[str]:
    """The first lines of a packed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in itertools.islice(file, most)]


class PaddedOnnx:
    """What the ONNX back-end of sentence-transformers does: sorted by length, 32 at a time, padded to the longest."""

    def __init__(self, reference: Any, graph: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.names = {entry.name for entry in self.session.get_inputs()}
        self.tokenizer, self.max_length = reference.tokenizer, reference.max_seq_length

    def encode(self, texts: list[str]) -> np.ndarray:
        """Mean-pooled, normalised vectors, in the order of the texts."""
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        parts = []
        for start in range(0, len(order), BATCH):
            batch = [texts[i] for i in order[start : start + BATCH]]
            feeds = self.tokenizer(
                batch, padding=True, truncation=True, max_length=self.max_length, return_tensors="np"
            )
            feeds = {name: value.astype(np.int64) for name, value in feeds.items() if name in self.names}
            states = self.session.run(None, feeds)[0]
            mask = feeds["attention_mask"][..., None].astype(np.float32)
            parts.append((states * mask).sum(axis=1) / mask.sum(axis=1))
        vectors = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
        vectors[order] = np.concatenate(parts)
        return unit(vectors)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each row to its counterpart."""
    return (unit(a.astype(np.float64)) * unit(b.astype(np.float64))).sum(axis=1)


def parity(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Mean and least cosine."""
    values = cosines(a, b)
    return {"mean": round(float(values.mean()), 7), "min": round(float(values.min()), 7)}


def open_all(folder: Path, threads: int) -> dict[str, Callable[[list[str]], np.ndarray]]:
    """Every candidate as a function of texts."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    reference = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    padded = {
        name: PaddedOnnx(reference, graph, threads)
        for name, graph in ((PADDED, float_graph(folder)), (PADDED_INT8, folder / QUANTIZED_NAME))
    }
    ours = open_ours(folder, threads)
    theirs = {TORCH: reference, **open_backend(folder, threads)}
    return {
        **{
            name: lambda texts, model=model: model.encode(texts, batch_size=BATCH, show_progress_bar=False)
            for name, model in theirs.items()
        },
        **{name: candidate.encode for name, candidate in padded.items()},
        **{name: encoder.transform for name, encoder in ours.items()},
    }


def open_backend(folder: Path, threads: int) -> dict[str, Any]:
    """sentence-transformers with its ONNX back-end, in both types; nothing where that is not installed."""
    if "optimum-onnx" not in peers():
        return {}
    import onnxruntime
    from sentence_transformers import SentenceTransformer

    opened = {}
    for name, graph in ((BACKEND, float_graph(folder).relative_to(folder).as_posix()), (BACKEND_INT8, QUANTIZED_NAME)):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        said = {"file_name": graph, "provider": "CPUExecutionProvider", "session_options": options}
        opened[name] = SentenceTransformer(
            str(folder), backend="onnx", device="cpu", local_files_only=True, model_kwargs=said
        )
    return opened


def peers() -> dict[str, str]:
    """Versions of what is measured beside ours, as far as it is installed."""
    found = {}
    for name in PEERS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def open_ours(folder: Path, threads: int) -> dict[str, OnnxEncoder]:
    """fp32 and int8."""
    graphs = {FP32: float_graph(folder).relative_to(folder).as_posix(), INT8: QUANTIZED_NAME}
    return {name: OnnxEncoder(folder, file=graph, threads=threads) for name, graph in graphs.items()}


def measure_speed(candidates: dict[str, Any], texts: list[str], repeats: int, threads: int) -> dict[str, Any]:
    """Texts a second and times as fast as those of sentence-transformers."""
    timing = interleaved(
        {name: (lambda encode=encode: encode(texts)) for name, encode in candidates.items()}, repeats=repeats
    )
    seconds = {name: row["median"] for name, row in timing.items()}
    rivals = {"padded ONNX": (PADDED, PADDED_INT8), "ONNX back-end": (BACKEND, BACKEND_INT8)}
    return {
        "peers": peers(),
        "texts": len(texts),
        "characters": sum(map(len, texts)),
        "threads": threads,
        "repeats": repeats,
        "texts_per_second": {name: round(len(texts) / value, 1) for name, value in seconds.items()},
        "times torch": {name: round(seconds[TORCH] / value, 2) for name, value in seconds.items()},
        **{
            f"times {rival}": {
                FP32: round(seconds[fp32] / seconds[FP32], 2),
                INT8: round(seconds[int8] / seconds[INT8], 2),
            }
            for rival, (fp32, int8) in rivals.items()
            if fp32 in seconds
        },
        "range": {name: [round(row["min"], 3), round(row["max"], 3)] for name, row in timing.items()},
    }


def measure_parity(candidates: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    """Cosines to sentence-transformers, of mixed texts and of STS-B dev; int8 alone against int8 in batches."""
    pairs, _ = stsb("dev")
    row: dict[str, Any] = {}
    for name, sample in (("mixed", texts), ("stsb dev", pairs[0] + pairs[1])):
        reference = candidates[TORCH](sample)
        row[name] = {kind: parity(reference, candidates[kind](sample)) for kind in (FP32, INT8)}
    chosen = pairs[0][:300]
    for kind in (FP32, INT8):
        alone = np.concatenate([candidates[kind]([text]) for text in chosen])
        row[f"alone against batch, {kind}"] = parity(alone, candidates[kind](chosen))
    return row


def stsb(part: str) -> tuple[tuple[list[str], list[str]], list[float]]:
    """Pairs of sentences and their scores."""
    with (SHARED / "data" / "stsb" / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return ([r["sentence1"] for r in rows], [r["sentence2"] for r in rows]), [float(r["score"]) for r in rows]


def measure_stsb(candidates: dict[str, Any], part: str) -> dict[str, Any]:
    """Spearman correlation of cosines with people's scores."""
    from scipy.stats import spearmanr

    (first, second), scores = stsb(part)
    row: dict[str, Any] = {"pairs": len(scores)}
    for name in (TORCH, FP32, INT8):
        vectors = candidates[name](first + second)
        values = cosines(vectors[: len(first)], vectors[len(first) :])
        row[name] = round(100 * float(spearmanr(values, scores).statistic), 2)
    return row


def measure_memory(folder: Path, threads: int, count: int) -> dict[str, Any]:
    """Resident memory during one ``transform`` of many sentences, in a process of its own."""
    command = [sys.executable, __file__, str(folder), "--threads", str(threads), "--memory-child", str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def memory_child(folder: Path, threads: int, count: int) -> None:
    """The process of :func:`measure_memory`."""
    texts = lines(SHARED / "data" / "imdb_unsup" / "sentences.txt.gz", count)
    encoder = open_ours(folder, threads)[INT8]
    encoder.transform(texts[:256])
    samples = [resident()]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.25):
            samples.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    vectors = encoder.transform(texts)
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    places = np.linspace(0, len(samples) - 1, 11).astype(int)
    row = {
        "texts": len(texts),
        "texts_per_second": round(len(texts) / seconds, 1),
        "result MB": round(vectors.nbytes / 1e6, 1),
        "resident MB before": round(samples[0], 1),
        "resident MB at each tenth": [round(samples[i], 1) for i in places],
        "peak MB": round(max(samples), 1),
        "peak less result MB": round(max(samples) - vectors.nbytes / 1e6, 1),
    }
    print(json.dumps(row))


def resident() -> float:
    """Megabytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-texts", type=int, default=100_000)
    parser.add_argument("--test", action="store_true", help="STS-B test as well: once, at the end")
    parser.add_argument("--memory-child", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_child:
        memory_child(options.folder, options.threads, options.memory_child)
        return
    if not (options.folder / QUANTIZED_NAME).exists():
        quantize(options.folder)
    results, parts = Results("encoder"), options.parts.split(",")
    if "memory" in parts:
        results.add("memory", measure_memory(options.folder, options.threads, options.memory_texts))
    candidates = open_all(options.folder, options.threads)
    texts = mixed_texts(options.texts)
    if "speed" in parts:
        results.add(
            f"speed, {results.data['environment']['cpu']}",
            measure_speed(candidates, texts, options.repeats, options.threads),
        )
    if "parity" in parts:
        results.add("parity", measure_parity(candidates, texts))
    if "stsb" in parts:
        for part in ("dev", "test") if options.test else ("dev",):
            results.add(f"stsb {part}", measure_stsb(candidates, part))


if __name__ == "__main__":
    main()
