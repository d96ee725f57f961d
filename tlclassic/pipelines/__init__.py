"""Whole pipelines: built from features and a head, trained, saved, loaded, applied."""

from tlclassic.pipelines.saving import load, read_metadata, save

__all__ = ["load", "read_metadata", "save"]
