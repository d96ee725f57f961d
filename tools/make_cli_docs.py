"""Write docs/cli.md from the commands' own --help; a test compares the two."""

from __future__ import annotations

from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

COMMANDS = (
    "train",
    "tune",
    "compile",
    "distill",
    "cascade",
    "bench",
    "predict",
    "evaluate",
    "tag train",
    "tag predict",
    "tag evaluate",
    "tag finetune",
    "vectors info",
    "vectors convert",
    "vectors similar",
    "vectors train",
    "vectors eval",
    "vectors coverage",
    "vectors from-encoder",
    "vectors join",
    "vectors retrofit",
    "vectors align",
    "encoder export",
    "encoder quantize",
    "encoder check",
    "encoder encode",
    "finetune",
    "spacy init-config",
    "spacy convert",
    "demo",
)
INTRODUCTION = """# Command line

Results go to stdout, warnings and progress to stderr (progress only on a terminal). Exit codes: 0 done, 2 wrong use,
1 failed.
This page is made from the commands themselves by `tools/make_cli_docs.py`; a test holds it to them.
"""


def help_of(command: str) -> str:
    """What ``tlclassic COMMAND --help`` prints, 100 columns wide."""
    from tlclassic.app.main import build

    result = CliRunner().invoke(build(), [*command.split(), "--help"], prog_name="tlclassic", env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def all_commands() -> list[str]:
    """Every command there is, from the application itself."""
    from tlclassic.app.main import build

    found = []
    for name, command in get_command(build()).commands.items():
        inner = getattr(command, "commands", None)
        found += [name] if inner is None else [f"{name} {part}" for part in inner]
    return found


def page() -> str:
    """The whole page."""
    parts = [f"## tlclassic {command}\n\n```\n{help_of(command)}\n```\n" for command in COMMANDS]
    return "\n".join([INTRODUCTION, *parts])


if __name__ == "__main__":
    Path(__file__).resolve().parent.parent.joinpath("docs", "cli.md").write_text(page(), encoding="utf-8")
