"""What is raised where ONNX has no words for a node: the sentence about it."""


class Refusal(Exception):
    """The layer, and what of it ONNX cannot carry."""
