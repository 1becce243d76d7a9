"""Networks of other programs: ONNX in, NIR in and out. Data files, never code."""
