"""The blog's curve and what follows from it, on real photographs.

Writes `results.json`, the figures and the tables of `README.md` beside this file.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import STUDY, command_line, this_machine
from benchmarks.results import filled, json_text
from studies.scale_sweep import depth, shapes
from studies.scale_sweep.figures import draw
from studies.scale_sweep.norm_factor import Facts, blogs_curves, readings
from studies.scale_sweep.photograph import PHOTOGRAPHS, colour
from studies.scale_sweep.remainder import explanation, variants
from studies.scale_sweep.tables import tables

SEED = 0
SEEDS = range(10)
SEEDS_OF_SHAPES = range(3)
SEEDS_OF_DEPTHS = range(5)
DIGITS = 5
HERE = Path(__file__).parent


def main() -> None:
    torch.set_num_threads(1)
    facts = rounded(study())
    command = command_line("studies.scale_sweep")
    machine = this_machine(command, threads=1, distributions=STUDY)
    (HERE / "results.json").write_text(json_text({"machine": asdict(machine), **facts}))
    draw(facts, HERE / "figures")
    page = HERE / "README.md"
    page.write_text(filled(page.read_text(), tables(facts, machine)))


def study() -> dict[str, Any]:  # by section, as results.json holds them
    sections: dict[str, Any] = {"curves": blogs_curves(colour(), SEED)}
    print("readings")
    sections["readings"] = {name: readings(colour(name), SEEDS) for name in PHOTOGRAPHS}
    sections["explanation"] = explanation(colour(), SEED)
    sections["remainder"] = variants(colour(), SEEDS)
    sections["kernels"] = {
        "factors": shapes.DIVISORS.tolist(),
        "sqnr_db": {str(shape): shapes.curve(shape, SEED) for shape in shapes.SHAPES[:3]},
    }
    sections["shapes"] = {str(shape): of_seeds(shape) for shape in shapes.SHAPES}
    print("depth")
    sections["depth"] = {
        str(layers): [depth.study(layers, seed) for seed in SEEDS_OF_DEPTHS]
        for layers in depth.DEPTHS
    }
    return sections


def of_seeds(shape: shapes.Shape) -> list[Facts]:
    print(shape)
    return [shapes.study(shape, seed) for seed in SEEDS_OF_SHAPES]


def rounded(facts: Any) -> Any:  # JSON data of any form
    """The same with DIGITS significant digits: more depend on the machine."""
    if isinstance(facts, dict):
        return {key: rounded(value) for key, value in facts.items()}
    if isinstance(facts, list):
        return [rounded(value) for value in facts]
    return float(f"{facts:.{DIGITS}g}") if isinstance(facts, float) else facts


def committed() -> dict[str, Any]:  # as json_text wrote it
    """The results beside this file."""
    found: dict[str, Any] = json.loads((HERE / "results.json").read_text())
    return found


if __name__ == "__main__":
    main()
