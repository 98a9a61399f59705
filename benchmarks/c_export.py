"""Programs as C, compiled and run on every test image: `python -m benchmarks.c_export`.

The MNIST network of the notebook sees all 10,000 test images under both roundings, beside the
reference; the LeNet of 12-32-256-64-10 is there for its memory, with seeded weights and images.
Writes `results/c_export.md`.
"""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import zeropoint as zp
from benchmarks.images import images
from benchmarks.machine import Machine, command_line, describe, this_machine
from benchmarks.results import markdown_table, write
from studies.lenet_cifar10.network import LeNet
from studies.mnist_static.training import dataset, everything, trained
from zeropoint.arithmetic.fixed_point import Rounding
from zeropoint.arithmetic.requantize import FixedPoint
from zeropoint.data import open_data
from zeropoint.execute.reference import Reference
from zeropoint.export import export
from zeropoint.export.c.routine import Routine, routine
from zeropoint.program.program import Program

CALIBRATION_IMAGES = 512
LENET_IMAGES = 1000
BATCH = 100
COMPILE = ("gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
ROUNDINGS: tuple[Rounding, ...] = ("double", "single")
RESULTS = Path(__file__).parent / "results" / "c_export.md"


@dataclass(frozen=True)
class Row:
    """A network in C beside the reference."""

    network: str
    routine: Routine
    images: int
    integers: int
    different: int
    right: int | None
    milliseconds: float


def main() -> None:
    torch.set_num_threads(1)
    rows = [*mnist(), *lenet()]
    text = page(rows)
    print(text)
    write(RESULTS, text)


def mnist() -> list[Row]:
    calibration = open_data(dataset("train"), samples=CALIBRATION_IMAGES, shuffle_seed=0)
    program = zp.quantize(trained(0), calibration, samples=CALIBRATION_IMAGES).program
    x, labels = everything(dataset("test"))
    return [measured("MNIST", program, x, labels, rounding) for rounding in ROUNDINGS]


def lenet() -> list[Row]:
    torch.manual_seed(0)
    x = images((3, 32, 32), LENET_IMAGES, seed=0)
    program = zp.quantize(LeNet().eval(), list(torch.split(x, BATCH))).program
    return [measured("LeNet", program, x, None, rounding) for rounding in ROUNDINGS]


def measured(
    network: str, program: Program, x: Tensor, labels: Tensor | None, rounding: Rounding
) -> Row:
    found = routine(program, [(1, *x.shape[1:])], rounding)
    expected = traced(program, x, rounding, [found.inputs[0].value, logits_of(program)])
    ours, seconds = in_c(program, expected[0], rounding)
    ours = ours.reshape(len(x), -1)
    scale = found.outputs[0].params.scale
    classes = (ours * scale).argmax(1)
    row = Row(
        network,
        found,
        len(x),
        ours.numel(),
        int((ours != expected[1]).sum()),
        None if labels is None else int((classes == labels).sum()),
        1000 * seconds / len(x),
    )
    print(network, rounding, f"{row.different} of {row.integers} integers differ", flush=True)
    return row


def logits_of(program: Program) -> str:
    """The int32 value that leaves the program."""
    return program.graph.producers[program.graph.outputs[0]].inputs[0]


def traced(program: Program, x: Tensor, rounding: Rounding, names: Sequence[str]) -> list[Tensor]:
    """Values of the reference for all images, in batches."""
    reference = Reference(program, FixedPoint(rounding))
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def keep(name: str, content: Tensor) -> None:
        if name in seen:
            seen[name].append(content)

    for batch in torch.split(x, BATCH):
        reference.trace([batch], keep)
    return [torch.cat(seen[name]) for name in names]


def in_c(program: Program, codes: Tensor, rounding: Rounding) -> tuple[Tensor, float]:
    """The logits (int32) of the compiled network for quantized images, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        export(program, place / "net.c", rounding=rounding)
        (place / "main.c").write_text(MAIN)
        command = [*COMPILE, "net.c", "main.c", "-o", "net"]
        subprocess.run(command, cwd=place, check=True)
        entering = codes.contiguous().numpy().tobytes()
        begin = time.perf_counter()
        done = subprocess.run([place / "net"], input=entering, capture_output=True, check=True)
        seconds = time.perf_counter() - begin
    return torch.from_numpy(np.frombuffer(done.stdout, np.int32).copy()), seconds


MAIN = """
#include <stdio.h>
#include "net.h"
int main(void)
{
    static uint8_t input[NET_INPUT_SIZE];
    static int32_t output[NET_OUTPUT_SIZE];
    while (fread(input, sizeof input, 1, stdin) == 1) {
        net_run(input, output);
        if (fwrite(output, sizeof output, 1, stdout) != 1) {
            return 1;
        }
    }
    return 0;
}
"""


def page(rows: Sequence[Row]) -> str:
    table = markdown_table(
        (
            "network",
            "rounding",
            "images",
            "logits",
            "different",
            "right",
            "RAM",
            "of it arena",
            "ms",
        ),
        [
            (
                row.network,
                row.routine.rounding,
                f"{row.images:,}",
                f"{row.integers:,}",
                f"{row.different}",
                "" if row.right is None else f"{row.right:,}",
                f"{row.routine.ram:,}",
                f"{row.routine.memory.arena:,}",
                f"{row.milliseconds:.1f}",
            )
            for row in rows
        ],
    )
    return f"{ABOUT}\n{table}\n\n{describe(machine())}\n"


def machine() -> Machine:
    """The machine with the versions of what runs here."""
    here = this_machine(command_line("benchmarks.c_export"), threads=1)
    versions = {name: here.versions[name] for name in ("zeropoint", "torch", "numpy")}
    gcc = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, check=True, text=True)
    return replace(here, versions={**versions, "gcc": gcc.stdout.strip()})


ABOUT = """# Programs as C

`q.export("net.c")`, compiled by `gcc -O2` and run on each test image, beside
`Reference(program, FixedPoint(rounding))`: how many int32 logits differ, and how many images are
classified right. RAM is in bytes: the arena, the input (uint8) and the output (int32). `ms` is the
time for an image. MNIST is the network of `studies/mnist_static`, seed 0; LeNet (12-32-256-64-10)
has seeded weights and images.
"""


if __name__ == "__main__":
    main()
