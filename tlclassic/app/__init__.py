"""The command line: one file a verb, no logic of its own."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code: 0 done, 2 wrong use, 1 failed, 130 interrupted."""
    try:
        from tlclassic.app.main import main as run

        run()
    except KeyboardInterrupt:
        # Also while the libraries are still being imported.
        sys.exit(130)
