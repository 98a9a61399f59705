"""The notebook's numbers, its mistakes put right, two to eight bits, folding, and one fused layer.

Writes `results.json` and the tables of `README.md` beside this file.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.machine import STUDY, Machine, command_line, describe, this_machine
from benchmarks.results import filled
from studies.affine.bits import sweep
from studies.affine.folding import foldings
from studies.affine.mistakes import evidence
from studies.affine.printed import reproduce
from studies.affine.speed import measure
from studies.affine.tables import Facts, all_tables

THREADS = 1  # a layer of 0.1 ms is too small to share out, and sums keep their order

HERE = Path(__file__).parent


def main() -> None:
    torch.set_num_threads(THREADS)
    machine = this_machine(command_line("studies.affine"), threads=THREADS, distributions=STUDY)
    facts = {
        "machine": asdict(machine),
        "printed": [asdict(each) for each in reproduce()],
        "mistakes": [asdict(each) for each in evidence()],
        "bits": bits_facts(),
        "folding": {case: asdict(each) for case, each in foldings().items()},
        "speed": asdict(measure()),
    }
    (HERE / "results.json").write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n")
    page = HERE / "README.md"
    page.write_text(filled(page.read_text(), texts(facts)))


def bits_facts() -> Facts:
    return {
        tensor: {
            way: {bits: asdict(error) for bits, error in errors.items()}
            for way, errors in ways.items()
        }
        for tensor, ways in sweep().items()
    }


def texts(facts: Facts) -> dict[str, str]:
    """The text between each pair of markers of the page."""
    return {**all_tables(facts), "machine": describe(Machine(**facts["machine"]))}


if __name__ == "__main__":
    main()
