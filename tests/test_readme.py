"""What README.md and docs/cli.md say is what happens."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder a newcomer works in."""
    return tmp_path_factory.mktemp("newcomer")


def _run(command, folder):
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


@pytest.mark.slow
def test_every_command_and_the_python_example_run(folder):
    install, *commands = _blocks("bash")
    assert install == 'pip install "tlclassic[all]"\n'
    assert sum(block.count("tlclassic ") for block in commands) == 19
    for block in commands:
        assert "warning" not in _run(["bash", "-euo", "pipefail", "-c", block], folder).stderr
    (example,) = _blocks("python")
    _run([sys.executable, "-W", "error::UserWarning", "-c", example], folder)
    made = "model.tlc report.html predictions.tsv vectors.txt own.tlc tuned.tlc small.tlc fast.tsv compiled.tlc"
    for name in made.split():
        assert (folder / name).stat().st_size > 0


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_linked():
    linked = set(re.findall(r"\(docs/([a-z-]+\.md)\)", README))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")}


def _cli_docs():
    spec = importlib.util.spec_from_file_location("make_cli_docs", ROOT / "tools" / "make_cli_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_command_line_page_is_up_to_date():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == _cli_docs().page()


def test_every_command_is_on_the_page():
    assert set(_cli_docs().COMMANDS) == set(_cli_docs().all_commands())
