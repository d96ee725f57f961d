"""Texts and labels: streaming readers and writers of TSV, CSV, JSONL and Parquet, plain or packed."""

from tlclassic.data.batches import FORMATS, Batch, read_batches
from tlclassic.data.dataset import Dataset, load_dataset
from tlclassic.data.writing import WRITE_FORMATS, TableWriter, open_writer

__all__ = ["FORMATS", "WRITE_FORMATS", "Batch", "Dataset", "TableWriter", "load_dataset", "open_writer", "read_batches"]
