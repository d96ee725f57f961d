"""Transformer encoders through onnxruntime: features for scikit-learn, with no torch at prediction time."""
