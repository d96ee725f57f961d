"""Shared by the tests of comparisons: small texts, and measuring without processes of its own."""

from __future__ import annotations

import time

from tlclassic.comparison import measuring
from tlclassic.comparison.worker import spread
from tlclassic.data import load_sample
from tlclassic.evaluation import ProcessCost

CLASSES = ("billing", "delivery", "returns")


def sample(part, most):
    """Texts and topics of the embedded sample, of three classes."""
    data = load_sample(part).dataset("topic")
    rows = [(text, label) for text, label in zip(data.texts, data.labels, strict=True) if label in CLASSES][:most]
    return [text for text, _ in rows], [label for _, label in rows]


class InsideWorker:
    """What `Worker` does, without a process: a test of something else need not start dozens of them."""

    def __init__(self, saved, threads):
        self.predict = saved.open(threads)

    def labels(self, texts):
        return self.predict(texts)

    def keep(self, texts):
        self.kept = texts

    def send_run(self, count):
        texts = spread(self.kept, count)
        began = time.perf_counter()
        self.predict(texts)
        self.seconds = time.perf_counter() - began

    def receive(self):
        return self.seconds

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def measure_inside(patch):
    """Measure in this process, briefly, on a machine of two processors."""
    patch.setattr(measuring, "Worker", InsideWorker)
    patch.setattr(measuring, "RUN_SECONDS", 0.005)
    patch.setattr(measuring, "available_cpus", lambda: 2)
    patch.setattr(measuring, "process_cost", lambda command: ProcessCost(0.5, 0.4, 50_000_000))
