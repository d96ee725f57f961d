"""One model for several tasks on the same texts: shared features, several heads, gaps in the labels."""

from tlclassic._compat import require

require("sklearn", purpose="tlclassic.multitask")

from tlclassic.multitask.classifier import MultiTaskClassifier  # noqa: E402 (the door is checked first)
from tlclassic.multitask.distilling import distil_tasks  # noqa: E402
from tlclassic.multitask.drawing import draw_attention  # noqa: E402
from tlclassic.multitask.metrics import METRICS  # noqa: E402
from tlclassic.multitask.stacking import stack  # noqa: E402

__all__ = ["METRICS", "MultiTaskClassifier", "distil_tasks", "draw_attention", "stack"]
