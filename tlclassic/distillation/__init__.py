"""What a big model knows, moved into a small one."""

from tlclassic.distillation.fidelity import Fidelity, fidelity
from tlclassic.distillation.fidelity_speed import Baseline, ModelCost, Speed, measure_speed
from tlclassic.distillation.static_vectors import StaticOptions, static_vectors

__all__ = [
    "Baseline",
    "Fidelity",
    "ModelCost",
    "Speed",
    "StaticOptions",
    "fidelity",
    "measure_speed",
    "static_vectors",
]
