import torch

from zeropoint.demo import DigitNetwork, demonstrate, digits


def test_the_digits_are_split_once_and_for_all() -> None:
    train_loader, test_loader = digits()
    (_, first), (_, second) = next(iter(test_loader)), next(iter(digits()[1]))
    assert torch.equal(first, second)
    assert len(train_loader.dataset) == 1200  # type: ignore[arg-type]  # Dataset declares no len
    assert len(test_loader.dataset) == 597  # type: ignore[arg-type]  # Dataset declares no len


def test_the_network_is_residual_and_batch_normalized() -> None:
    kinds = [type(module).__name__ for module in DigitNetwork().modules()]
    assert kinds.count("BatchNorm2d") == 6
    assert kinds.count("Residual") == 2


def test_the_demo_quantizes_a_good_network_and_reloads_it_unchanged() -> None:
    before = torch.random.get_rng_state()
    stages: set[str] = set()
    shown = demonstrate(progress=lambda stage, done, total: stages.add(stage))
    facts = shown.comparison.to_dict()
    assert facts["float_accuracy"] > 0.97
    assert abs(facts["float_accuracy"] - facts["int8_accuracy"]) < 0.01
    assert shown.reloaded_is_equal
    assert "train" in stages
    assert torch.equal(torch.random.get_rng_state(), before)
