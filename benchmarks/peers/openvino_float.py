"""OpenVINO, float32."""

from torch import Tensor, nn

from benchmarks.peers.openvino_request import open_request
from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The model converted and compiled, for the example's batch size only."""
    del calibration
    import openvino

    # One image: conversion traces the model and runs it several times; the batch size comes after.
    converted = openvino.convert_model(model, example_input=example[:1])
    return open_request(converted, example, threads)
