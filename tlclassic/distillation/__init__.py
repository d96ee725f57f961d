"""What a big model knows, moved into a small one."""

from tlclassic.distillation.static_vectors import StaticOptions, static_vectors

__all__ = ["StaticOptions", "static_vectors"]
