import torch
from torch import Tensor

from zeropoint.graph.build import float_graph
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.batch_norm import BatchNorm, batch_norm, batch_norm_inference


def statistics() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    gamma, beta = torch.tensor([1.5, -0.5]), torch.tensor([0.1, 2.0])
    return gamma, beta, torch.tensor([0.3, -1.0]), torch.tensor([4.0, 1e-6])


def test_the_float_form_normalizes_by_the_running_statistics() -> None:
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    module = torch.nn.BatchNorm2d(2, eps=1e-3).eval()
    gamma, beta, mean, var = statistics()
    module.load_state_dict(
        {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": var}, strict=False
    )
    with torch.no_grad():
        assert torch.equal(BatchNorm(1e-3).run(x, *statistics()), module(x))


def test_it_is_one_factor_and_one_offset_for_each_channel() -> None:
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    factor, offset = BatchNorm(1e-3).affine(*statistics())
    assert factor.dtype == offset.dtype == torch.float64
    expected = BatchNorm(1e-3).run(x, *(s.double() for s in statistics()))
    found = factor.reshape(2, 1, 1) * x + offset.reshape(2, 1, 1)
    torch.testing.assert_close(found, expected)


def test_it_has_no_integer_form() -> None:
    assert not issubclass(BatchNorm, IntegerOp)


def test_missing_factors_and_offsets_are_ones_and_zeros() -> None:
    to, x = float_graph(("N", 2, 4, 4))
    mean, var = to.constant("m", torch.zeros(2)), to.constant("v", torch.ones(2))
    batch_norm_inference(to, x.shape, x, None, None, mean, var, 0.1, 1e-3)
    (node,) = to.nodes
    assert node.op == BatchNorm(1e-3)
    assert torch.equal(to.constants[node.inputs[1]], torch.ones(2))
    assert torch.equal(to.constants[node.inputs[2]], torch.zeros(2))


def test_normalizing_by_the_batch_makes_an_island() -> None:
    to, x = float_graph(("N", 2, 4, 4))
    of_the_batch = "it normalizes by the statistics of the batch"
    assert batch_norm_inference(to, x.shape, x, None, None, None, None, 0.1, 1e-3) == (
        f"{of_the_batch} (track_running_stats=False)"
    )
    assert batch_norm(to, x.shape, x, None, None, x, x, True, 0.1, 1e-3) == of_the_batch
    assert not to.nodes


def test_parameters_that_are_computed_at_run_time_make_an_island() -> None:
    to, x = float_graph((2,))
    ones = to.constant("m", torch.ones(2))
    assert batch_norm(to, x.shape, x, x, ones, ones, ones, False, 0.1, 1e-3) == (
        "its parameters are computed at run time"
    )
