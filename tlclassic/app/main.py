"""The commands put together, and the exit codes: 0 done, 2 wrong use, 1 failed."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tlclassic._version import __version__
from tlclassic.app.console import note, warnings_on_stderr
from tlclassic.errors import InvalidParameterError, TlclassicError

__all__ = ["COMMANDS", "build", "main"]

#: In the order of the help.
COMMANDS = (
    "train", "tune", "compile", "distill", "cascade", "bench", "predict", "evaluate", "tag", "vectors", "encoder",
    "finetune", "spacy", "demo",
)  # fmt: skip
#: Those of them that have commands of their own.
_GROUPS = ("tag", "vectors", "encoder", "spacy")


def build(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The application with these commands; each costs time to set up."""
    app = typer.Typer(
        name="tlclassic",
        help="Transfer learning on text with classical, CPU-only models.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in names:
        module = importlib.import_module(f"tlclassic.app.{name}")
        if name in _GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tlclassic {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(_run())


def _run() -> int:
    try:
        with warnings_on_stderr():
            wanted = sys.argv[1:2]
            build(wanted if set(wanted) & set(COMMANDS) else COMMANDS)(prog_name="tlclassic")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except InvalidParameterError as error:
        note(f"error: {_spelled(str(error), sys.argv[1:2])}")
        return 2
    except TlclassicError as error:
        note(f"error: {error}")
        return 1
    except BrokenPipeError:
        # The reader of our output has gone; say nothing, and keep the interpreter from saying it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        note("error: out of memory. Use a smaller --limit, or vectors quantised with `tlclassic vectors convert`.")
        return 1
    except OSError as error:
        note(f"error: {error}")
        return 1
    return 0


def _spelled(message: str, verb: Sequence[str]) -> str:
    """A parameter that an error begins with, as it is written on the command line."""
    name, rest = re.match(r"(\w*)(.*)", message, re.DOTALL).groups()  # type: ignore[union-attr]
    if not set(verb) & set(COMMANDS) - set(_GROUPS) or not rest.startswith(("=", " must")):
        return message
    command = getattr(importlib.import_module(f"tlclassic.app.{verb[0]}"), verb[0])
    positional = ("train_file", "model", "file", "test")
    known = name in inspect.signature(command).parameters and name not in positional
    return f"--{name.replace('_', '-')}{rest}" if known else message
