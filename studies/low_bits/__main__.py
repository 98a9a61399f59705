"""The trainings of runs.py as a page: writes `results.json` and the tables of `README.md`."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import STUDY, command_line, describe, this_machine
from benchmarks.results import filled, json_text, markdown_table, write
from studies.answers import Difference, accuracy, difference
from studies.low_bits.runs import ANSWERS, SEED, WIDTHS, Width, everything

HERE = Path(__file__).parent

PUBLISHED = {
    "DoReFa": ("91.6", "", "", "90.5", "89.9", "88.2"),
    "PACT": ("91.6", "", "", "91.3", "91.1", "89.7"),
    "LSQ, reimplemented": ("92.4", "92.4", "", "92.3", "91.8", "90.5"),
    "APoT (powers of two)": ("91.6", "", "", "92.3", "92.2", "91.0"),
}
"""Float, then W8A8, W4A8, W4A4, W3A3, W2A2: 200 to 300 epochs each, residual sums in float.

The first two and the last as Li et al. 2020 ("Additive powers-of-two quantization") list them.
"""


def main() -> None:
    answers = {name: ANSWERS.of(name, run) for name, run in everything()}
    threads = torch.get_num_threads()
    machine = this_machine(command_line("studies.low_bits"), threads=threads, distributions=STUDY)
    texts = {"results": results(answers), "published": published(), "machine": describe(machine)}
    facts = {
        "machine": asdict(machine),
        "right": {name: int(found.sum()) for name, found in answers.items()},
        "points": {width.name: points(answers, width).points for width in WIDTHS},
        "tables": texts,
    }
    write(HERE / "results.json", json_text(facts))
    page = HERE / "README.md"
    page.write_text(filled(page.read_text(), texts))


def results(answers: dict[str, Tensor]) -> str:
    """Accuracy by width, calibrated and trained, beside float."""
    known = answers["float"]
    rows = [["float", "", f"{accuracy([known]):.2f}", "", ""]]
    for width in WIDTHS:
        calibrated, trained = answers[f"ptq {width.name}"], answers[f"qat {width.name} {SEED}"]
        cells = [f"{accuracy([calibrated]):.2f}", f"{accuracy([trained]):.2f}"]
        rows.append([width.name, *cells, str(points(answers, width)), f"{width.schedule.epochs:g}"])
    return markdown_table(("", "calibrated %", "trained %", "points", "epochs"), rows)


def points(answers: dict[str, Tensor], width: Width) -> Difference:
    """The trained network beside the float one."""
    return difference([answers[f"qat {width.name} {SEED}"]], [answers["float"]])


def published() -> str:
    """The same network in the literature."""
    header = ("", "float", *(width.name for width in WIDTHS))
    return markdown_table(header, [[name, *row] for name, row in PUBLISHED.items()])


if __name__ == "__main__":
    main()
