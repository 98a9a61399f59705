"""An ONNX model run by ONNX Runtime, or by ONNX's own reference evaluator."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.conformance.draft import Case

NEWEST_OF_ONNX_RUNTIME = 26
"""The onnx package may know more; ONNX Runtime refuses those."""


def run_model(model: Any, case: Case) -> list[Tensor]:
    """The outputs for the case's inputs, by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return _tensors(session.run(list(case.program.graph.outputs), _feed(case)))


def evaluate_model(model: Any, case: Case) -> list[Tensor]:
    """The outputs for the case's inputs, by the definition of ONNX's operators."""
    from onnx.reference import ReferenceEvaluator

    return _tensors(ReferenceEvaluator(model).run(None, _feed(case)))


def _feed(case: Case) -> dict[str, Any]:
    names = case.program.graph.inputs
    return {name: x.contiguous().numpy() for name, x in zip(names, case.inputs, strict=True)}


def _tensors(results: list[Any]) -> list[Tensor]:
    return [torch.from_numpy(np.asarray(result)) for result in results]
