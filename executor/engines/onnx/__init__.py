"""ONNX Runtime as an engine: models that score passages or recognise entities, published as ONNX files."""
