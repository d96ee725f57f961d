"""Compiled classifiers: texts to labels through NumPy and the kernels alone."""
