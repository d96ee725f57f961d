"""Texts and labels: streaming readers and writers of TSV, CSV, JSONL and Parquet, plain or packed; tokens and tags."""

from tlclassic.data.batches import FORMATS, Batch, read_batches
from tlclassic.data.dataset import Dataset, load_dataset
from tlclassic.data.sample import SAMPLE_TASKS, Sample, load_sample
from tlclassic.data.texts import TextColumn
from tlclassic.data.tokens import TOKEN_FORMATS, TokenDataset, load_tokens
from tlclassic.data.writing import WRITE_FORMATS, TableWriter, open_writer

__all__ = [
    "FORMATS",
    "SAMPLE_TASKS",
    "TOKEN_FORMATS",
    "WRITE_FORMATS",
    "Batch",
    "Dataset",
    "Sample",
    "TableWriter",
    "TextColumn",
    "TokenDataset",
    "load_dataset",
    "load_sample",
    "load_tokens",
    "open_writer",
    "read_batches",
]
