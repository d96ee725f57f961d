"""What trainers of every kind need to go on as if they had never stopped: named arrays, and seeds of single steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.options import FineTuneOptions

__all__ = ["check_run", "load_trained", "run_of", "seed_step", "trained_arrays"]

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def seed_step(seed: int, step: int) -> None:
    """Make what torch draws from now on, dropout that is, depend on the seed and the step alone."""
    torch.manual_seed((seed << 32) + step)


def run_of(options: FineTuneOptions, total: int, rows: int) -> dict[str, Any]:
    """What tells a run of so many steps over so many texts from another, as plain values."""
    return {"options": json.loads(json.dumps(options.to_json())), "total": total, "rows": rows}


def check_run(own: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Refuse what another run said.

    Raises
    ------
    InvalidParameterError
    """
    if any(said[name] != value for name, value in own.items()):
        raise InvalidParameterError("The checkpoint is of a run with other options or texts; remove it to start anew.")


def trained_arrays(named: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """``weights/NAME`` of parameters, and the optimiser's moments of those that it has met, as ``exp_avg/NAME``."""
    names = {id(value): name for name, value in named.items()}
    arrays = {f"weights/{name}": value.detach() for name, value in named.items()}
    for parameter, moments in optimizer.state.items():
        arrays |= {f"{kind}/{names[id(parameter)]}": value for kind, value in moments.items()}
    return arrays


def load_trained(named: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, arrays: Mapping[str, Tensor]) -> None:
    """Give parameters and optimiser what :func:`trained_arrays` said.

    Raises
    ------
    InvalidParameterError
        Where a parameter has another shape.
    """
    with torch.no_grad():
        for name, value in named.items():
            if arrays[f"weights/{name}"].shape != value.shape:
                raise InvalidParameterError(f"The checkpoint has another shape for {name}; remove it to start anew.")
            value.copy_(arrays[f"weights/{name}"])
    for name, value in named.items():
        moments = {kind: arrays[f"{kind}/{name}"] for kind in MOMENTS if f"{kind}/{name}" in arrays}
        if moments:
            optimizer.state[value] = {kind: moment.to(value.device, copy=True) for kind, moment in moments.items()}
