"""Three trainings and three seeds of the report's LeNet, each taken to integers step by step.

Writes `results.json`, `histograms.png` and the tables of `README.md` beside this file.
"""

from dataclasses import asdict

import torch

from benchmarks.machine import STUDY, command_line, this_machine
from benchmarks.results import filled, json_text, write
from studies.lenet_cifar10 import calibrators, ranges
from studies.lenet_cifar10.integer import IntegerLeNet, integer_network
from studies.lenet_cifar10.ladder import (
    Exam,
    Observed,
    actual,
    calibration_images,
    observe,
    readings,
    rungs,
    three_sigmas,
)
from studies.lenet_cifar10.network import LeNet
from studies.lenet_cifar10.page import Facts, tables
from studies.lenet_cifar10.scores import Score
from studies.lenet_cifar10.training import (
    BIASED,
    HERE,
    PLAIN,
    SEEDS,
    SHORT,
    Training,
    everything,
    trained,
)


def main() -> None:
    command, threads = command_line("studies.lenet_cifar10"), torch.get_num_threads()
    machine = this_machine(command, threads=threads, distributions=STUDY)
    exam = Exam(*everything("test"), calibration_images())
    seeds = {str(seed): study(seed, exam) for seed in SEEDS}
    model = trained(PLAIN, SEEDS[0])
    facts = {
        "machine": asdict(machine),
        **closer_look(model, exam),
        "seeds": seeds,
    }
    write(HERE / "results.json", json_text(facts))
    draw_histograms(model, exam)
    page = HERE / "README.md"
    page.write_text(filled(page.read_text(), {"results": tables(facts)}))


def study(seed: int, exam: Exam) -> Facts:
    """All scores of one seed."""
    model = trained(PLAIN, seed)
    observed = observe(model, exam)
    facts = {
        "plain": as_facts(rungs(model, observed, exam)),
        "biased": with_bias(BIASED, seed, exam),
        "short": with_bias(SHORT, seed, exam),
        "three sigmas": as_facts(three_sigmas(model, observed, exam)),
        "calibrators": {
            bits: as_facts(scores) for bits, scores in calibrators.compared(model, exam).items()
        },
    }
    print(f"seed {seed}: float {facts['plain']['float']['right']} of {len(exam.labels)}")
    return facts


def with_bias(training: Training, seed: int, exam: Exam) -> Facts:
    model = trained(training, seed)
    observed = observe(model, exam)
    return as_facts(rungs(model, observed, exam) | readings(model, observed, exam))


def as_facts(scores: dict[str, Score]) -> Facts:
    return {name: asdict(score) for name, score in scores.items()}


# --- one network, looked at more closely -------------------------------------------------------


def closer_look(model: LeNet, exam: Exam) -> Facts:
    """Ranges and grids."""
    observed = observe(model, exam)
    return {
        "ranges": asdict(Observed(dict(observed.weights), dict(observed.activations))),
        "layers": layer_facts(integer_network(model, *actual(observed))),
        "chosen": calibrators.chosen(model, exam),
    }


def layer_facts(network: IntegerLeNet) -> Facts:
    facts = {}
    for name, layer in network.layers.items():
        mantissa, shift = layer.scales.fixed_point
        facts[name] = {
            "s1": layer.scales.inputs,
            "s2": layer.scales.weights,
            "s3": layer.scales.outputs,
            "multiplier": layer.scales.multiplier,
            "mantissa": mantissa,
            "shift": shift,
            "bound": layer.bound(),
        }
    return facts


def draw_histograms(model: LeNet, exam: Exam) -> None:
    weights = ranges.weights(model)
    activations = ranges.activations(model, exam.calibration)
    panels = {
        **{f"weights of {name}": x for name, x in weights.items()},
        **{name if name == "input" else f"out of {name}": x for name, x in activations.items()},
    }
    ranges.draw(panels, HERE / "histograms.png")


if __name__ == "__main__":
    main()
