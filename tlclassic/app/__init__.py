"""The command line: one file a verb, no logic of its own."""

from tlclassic.app.main import main

__all__ = ["main"]
