"""What a big model knows, moved into a small one."""

from tlclassic.distillation.augmentation import METHODS, augment
from tlclassic.distillation.distilling import distill
from tlclassic.distillation.recipes import EFFORTS
from tlclassic.distillation.result import Distilled
from tlclassic.distillation.soft_labels import soft_labels
from tlclassic.distillation.static_vectors import StaticOptions, static_vectors
from tlclassic.distillation.teachers import ProbabilityTeacher, open_teacher

__all__ = [
    "EFFORTS",
    "METHODS",
    "Distilled",
    "ProbabilityTeacher",
    "StaticOptions",
    "augment",
    "distill",
    "open_teacher",
    "soft_labels",
    "static_vectors",
]
