"""Three trainings of the notebook's network, each quantized after training and compared.

Writes `results.json` and the tables of `README.md` beside this file.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import zeropoint as zp
from benchmarks.machine import STUDY, Machine, command_line, describe, this_machine
from benchmarks.results import filled, markdown_table
from studies.mnist_static.training import dataset, trained
from zeropoint.data import open_data

SEEDS = (0, 1, 2)
CALIBRATION_IMAGES = 512
CALIBRATION_SEED = 0
BYTES_PER_MEGABYTE = 2**20

HERE = Path(__file__).parent

Facts = dict[str, Any]  # what Comparison.to_dict() gives, as it goes into results.json


def main() -> None:
    results = {str(seed): study(seed) for seed in SEEDS}
    command, threads = command_line("studies.mnist_static"), torch.get_num_threads()
    machine = this_machine(command, threads=threads, distributions=STUDY)
    facts = {"machine": asdict(machine), "seeds": results}
    (HERE / "results.json").write_text(json.dumps(facts, indent=2) + "\n")
    page = HERE / "README.md"
    page.write_text(filled(page.read_text(), {"results": tables(results, machine)}))


def study(seed: int) -> Facts:
    """The float network of this seed beside its int8 form, on the 10,000 test images."""
    model = trained(seed)
    calibration = open_data(
        dataset("train"), samples=CALIBRATION_IMAGES, shuffle_seed=CALIBRATION_SEED
    )
    quantized = zp.quantize(model, calibration, samples=CALIBRATION_IMAGES)
    card = zp.compare(model, quantized, open_data(dataset("test"), batch_size=100))
    print(f"seed {seed}", card, sep="\n")
    return card.to_dict()


# --- the page ----------------------------------------------------------------------------------


def tables(results: dict[str, Facts], machine: Machine) -> str:
    return "\n\n".join([accuracy_and_size(results), latency(results), describe(machine)])


def accuracy_and_size(results: dict[str, Facts]) -> str:
    rows = [
        (
            100 * facts["float_accuracy"],
            100 * facts["int8_accuracy"],
            facts["flips"]["gained"],
            facts["flips"]["lost"],
            facts["float_bytes"] / BYTES_PER_MEGABYTE,
            facts["int8_bytes"] / BYTES_PER_MEGABYTE,
            facts["size_ratio"],
        )
        for facts in results.values()
    ]
    return markdown_table(
        ("", "float %", "int8 %", "gained", "lost", "float MB", "int8 MB", "smaller"),
        [
            ("published", "98.89", "98.91", "", "", "6.21", "1.56", "3.97x"),
            *([f"seed {seed}", *cells(row)] for seed, row in zip(results, rows, strict=True)),
            ["mean", *cells([mean(column) for column in zip(*rows, strict=True)])],
        ],
    )


def cells(row: Sequence[float]) -> list[str]:
    formats = ("{:.2f}", "{:.2f}", "{:.3g}", "{:.3g}", "{:.2f}", "{:.2f}", "{:.2f}x")
    return [text.format(value) for text, value in zip(formats, row, strict=True)]


def latency(results: dict[str, Facts]) -> str:
    """The mean over the seeds: the weights differ, the work does not."""
    measured = [facts["latency"] for facts in results.values()]
    batches = sorted(measured[0]["int8"])
    return markdown_table(
        ("median latency", *(f"batch {batch}" for batch in batches)),
        [
            [name, *(f"{mean(run[name][batch] for run in measured):.2f} ms" for batch in batches)]
            for name in measured[0]
        ],
    )


if __name__ == "__main__":
    main()
