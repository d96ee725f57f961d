"""What `tlclassic finetune` and `tlclassic tag finetune` share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic._compat import is_installed, require

__all__ = [
    "DeviceOption",
    "EncoderOption",
    "EpochsOption",
    "ForceOption",
    "Int8Option",
    "PatienceOption",
    "RateOption",
    "ResumeOption",
    "SeedOption",
    "ThreadsOption",
    "TrainOption",
    "WeightsOption",
    "before_torch",
    "trained",
]

EncoderOption = Annotated[
    Path,
    typer.Option("--encoder", "-e", help="Folder of an encoder with its torch weights.", show_default=False),
]
TrainOption = Annotated[
    list[str] | None,
    typer.Option(
        help="head, top-K (its K uppermost layers too), all, or how names of parameters begin. Default: all.",
        show_default=False,
    ),
]
EpochsOption = Annotated[float | None, typer.Option(help="Passes over TRAIN.", show_default=False)]
RateOption = Annotated[float | None, typer.Option(help="Of the uppermost layer of the encoder.", show_default=False)]
PatienceOption = Annotated[
    int | None, typer.Option(help="Stop after so many evaluations without a better one.", show_default=False)
]
Int8Option = Annotated[bool, typer.Option("--int8/--no-int8", help="Write a quantised graph as well.")]
WeightsOption = Annotated[
    bool, typer.Option("--weights", help="Write the torch weights as well, to fine-tune further.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on where a killed run with the same settings stopped.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier result; no other folder is.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
ThreadsOption = Annotated[int | None, typer.Option(help="The CPUs at hand when left out.", min=1, show_default=False)]
SeedOption = Annotated[int, typer.Option(help="Of all that is random.", min=0, max=2**31 - 1)]


def before_torch(out: Path, encoder: Path, *, force: bool) -> None:
    """What is said and checked before torch is loaded, which takes seconds.

    Raises
    ------
    MissingExtraError, InputError, EncoderFormatError
        When a package is missing, ``out`` may not be written, or ``encoder`` is none.
    """
    # Idle threads of OpenMP spin by default; on a busy machine two of them were measured to take ten times as long. The
    # library reads this when it is loaded.
    for name, value in (("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0")):
        os.environ.setdefault(name, value)
    for module in ("torch", "transformers", "onnx"):
        # Importing takes seconds, so only what is missing is told now.
        if not is_installed(module):
            require(module, purpose="Fine-tuning")
    from tlclassic.finetune.folders import check_folder
    from tlclassic.finetune.layout import read_layout

    check_folder(out, force=force)
    read_layout(encoder)


def trained(train: list[str] | None) -> Any:
    """``--train`` as options take it: one word, or prefixes."""
    if not train:
        return None
    one = train[0]
    return one if len(train) == 1 and (one in ("head", "all") or one.startswith("top-")) else tuple(train)
