"""What a big model knows, moved into a small one."""

from tlclassic.distillation.asking import soft_labels
from tlclassic.distillation.augmentation import METHODS, augment
from tlclassic.distillation.distilling import distill
from tlclassic.distillation.fidelity_report import Fidelity, fidelity
from tlclassic.distillation.fidelity_speed import Baseline, ModelCost, Speed, measure_speed
from tlclassic.distillation.known_answers import KnownAnswers
from tlclassic.distillation.recipes import EFFORTS
from tlclassic.distillation.result import Distilled
from tlclassic.distillation.soft_label_files import SoftLabelFile, SoftLabels, read_soft_labels
from tlclassic.distillation.static_vectors import StaticOptions, static_vectors
from tlclassic.distillation.teachers import ProbabilityTeacher, open_teacher
from tlclassic.distillation.transfer import read_transfer
from tlclassic.distillation.weighing import WEIGHINGS, dev_weights

__all__ = [
    "EFFORTS",
    "METHODS",
    "WEIGHINGS",
    "Baseline",
    "Distilled",
    "Fidelity",
    "KnownAnswers",
    "ModelCost",
    "ProbabilityTeacher",
    "SoftLabelFile",
    "SoftLabels",
    "Speed",
    "StaticOptions",
    "augment",
    "dev_weights",
    "distill",
    "fidelity",
    "measure_speed",
    "open_teacher",
    "read_soft_labels",
    "read_transfer",
    "soft_labels",
    "static_vectors",
]
