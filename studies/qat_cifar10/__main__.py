"""The trainings of runs.py as a page: writes `results.json` and the tables of `README.md`."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import STUDY, command_line, describe, this_machine
from benchmarks.results import filled, json_text, markdown_table, write
from studies.answers import Difference, accuracy, difference
from studies.qat_cifar10.runs import ANSWERS, DEFECTS, SCHEMES, SEEDS, everything

HERE = Path(__file__).parent

Facts = dict[str, object]


def main() -> None:
    answers = {name: ANSWERS.of(name, run) for name, run in everything()}
    threads = torch.get_num_threads()
    machine = this_machine(
        command_line("studies.qat_cifar10"), threads=threads, distributions=STUDY
    )
    facts: Facts = {
        "machine": asdict(machine),
        "right": {name: int(found.sum()) for name, found in answers.items()},
        "trained": {scheme: asdict(trained(answers, scheme)) for scheme in SCHEMES},
    }
    texts = {
        "eight bits": eight_bits(answers),
        "control": control(answers),
        "defects": defects(answers),
        "machine": describe(machine),
    }
    write(HERE / "results.json", json_text(facts | {"tables": texts}))
    page = HERE / "README.md"
    page.write_text(filled(page.read_text(), texts))


def eight_bits(answers: dict[str, Tensor]) -> str:
    """Every way to 8 bits beside the float network with the same extra epochs."""
    tuned = [answers[f"float tuned {seed}"] for seed in SEEDS]
    rows = [["float", f"{accuracy([answers['float']]):.2f}", "", "", ""]]
    rows.append(["float, trained on", f"{accuracy(tuned):.2f}", "", "", ""])
    for scheme in SCHEMES:
        found = [answers[f"ptq {scheme} 8"]]
        rows.append(row(f"calibrated only, {scheme}", found, [answers["float"]]))
    for scheme in SCHEMES:
        found = [answers[f"qat {scheme} 8 {seed}"] for seed in SEEDS]
        rows.append(row(f"trained, {scheme}", found, tuned))
    return markdown_table(("", "accuracy %", "points", "gained", "lost"), rows)


def trained(answers: dict[str, Tensor], scheme: str) -> Difference:
    """Eight bits after training beside the float network after as much of it, over all seeds."""
    ours = [answers[f"qat {scheme} 8 {seed}"] for seed in SEEDS]
    return difference(ours, [answers[f"float tuned {seed}"] for seed in SEEDS])


def control(answers: dict[str, Tensor]) -> str:
    """The article's schedule, with its quantizer and in float."""
    float_there, known = [answers["control 0"]], [answers["float"]]
    rows = [["float, our schedule", f"{accuracy(known):.2f}", "", "", ""]]
    rows.append(row("float, the article's schedule", float_there, known))
    rows.append(row("the article's QAT: its schedule and defects", [answers["article 0"]], known))
    return markdown_table(("", "accuracy %", "points", "gained", "lost"), rows)


def defects(answers: dict[str, Tensor]) -> str:
    """Each defect beside the same training without it."""
    rows = []
    for name in DEFECTS:
        cells = [name]
        for bits in (8, 4):
            found = answers[f"defect {name} {bits}"]
            against = answers[f"defect none {bits}"]
            cost = "" if name == "none" else str(difference([found], [against]))
            cells += [f"{accuracy([found]):.2f}", cost]
        rows.append(cells)
    return markdown_table(("defect", "8 bits %", "points", "4 bits %", "points"), rows)


def row(name: str, ours: list[Tensor], theirs: list[Tensor]) -> list[str]:
    found = difference(ours, theirs)
    return [name, f"{accuracy(ours):.2f}", str(found), str(found.gained), str(found.lost)]


if __name__ == "__main__":
    main()
