"""The notebook's numbers, its mistakes put right, two to eight bits, folding, and one fused layer.

Writes `results.json` and the tables of `README.md` beside this file.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.machine import Machine, command_line, describe, this_machine
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
    machine = used(this_machine(command_line("studies.affine"), threads=THREADS))
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
    page.write_text(filled(page.read_text(), facts))


def bits_facts() -> Facts:
    return {
        tensor: {
            way: {bits: asdict(error) for bits, error in errors.items()}
            for way, errors in ways.items()
        }
        for tensor, ways in sweep().items()
    }


def used(machine: Machine) -> Machine:
    """The machine with the versions of what runs here; the benchmark's peers do not."""
    versions = {name: machine.versions[name] for name in ("zeropoint", "torch", "numpy")}
    return replace(machine, versions=versions)


def filled(page: str, facts: Facts) -> str:
    """The page with each table between its markers."""
    texts = {**all_tables(facts), "machine": describe(Machine(**facts["machine"]))}
    for name, text in texts.items():
        page = between_markers(page, name, text)
    return page


def between_markers(page: str, name: str, text: str) -> str:
    """The page with the text, and nothing else, between the two markers of this name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    assert after, f"the page has no place for {name}"
    return f"{before}{begin}\n{text}\n{end}{after}"


if __name__ == "__main__":
    main()
