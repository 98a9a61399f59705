"""What engines and exported files compute, beside the reference: `python -m benchmarks.exactness`.

Six networks on every engine that is installed, and as the files that `export` writes: one
certificate each in `results/exactness/`, and a page with their rows. The engines are then held
against each other: on the same images, and on many more, where the reference would take too long.

MNIST and LeNet are the studies' networks with their trained weights; the others have seeded
weights, which is the harder case: their logits lie closer together than a trained network's.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

import studies.lenet_cifar10.training as lenet
import studies.mnist_static.training as mnist
import zeropoint as zp
from benchmarks.images import images
from benchmarks.machine import Machine, command_line, describe, this_machine
from benchmarks.networks import Network, build, network_named
from benchmarks.networks.mobilenet_v3 import mobilenet_v3
from benchmarks.results import markdown_table, write
from zeropoint.data import open_data
from zeropoint.errors import ExportError
from zeropoint.report.certificate import EngineCheck

CALIBRATION_IMAGES = 512
SEEDED_CALIBRATION_IMAGES = 64
BATCH = 8
FILES: Mapping[str, Mapping[str, str | bool]] = {
    ".onnx": {},
    "-fast.onnx": {"exact": False},
    "-qoperator.onnx": {"form": "qoperator"},
    ".xml": {},
    ".pt2": {},
}
RESULTS = Path(__file__).parent / "results" / "exactness"


@dataclass(frozen=True)
class Subject:
    """A network, what calibrates it, the images to verify it on, and more for the engines alone."""

    title: str
    model: nn.Module
    calibration: Iterable[object]
    verified: Tensor
    many: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Row:
    """A subject's certificate, and how many decisions differ between pairs of engines."""

    name: str
    title: str
    certificate: zp.Certificate
    among: dict[tuple[str, str], tuple[int, int]]
    """Flips on the verified images, and on the many."""

    many: int
    right: dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", help=f"default: {' '.join(SUBJECTS)}")
    names = parser.parse_args().networks or list(SUBJECTS)
    torch.set_num_threads(1)
    RESULTS.mkdir(exist_ok=True)
    rows = [row_of(name, SUBJECTS[name]()) for name in names]
    text = page(rows)
    print(text)
    if len(names) == len(SUBJECTS):
        write(RESULTS / "exactness.md", text)


def row_of(name: str, subject: Subject) -> Row:
    begin = time.perf_counter()
    q = zp.quantize(subject.model, subject.calibration, samples=CALIBRATION_IMAGES, engine="onednn")
    batches = list(torch.split(subject.verified, BATCH))
    with tempfile.TemporaryDirectory() as folder:
        files = exported(q, Path(folder), name)
        certificate = zp.verify(q, batches, files=files, samples=len(subject.verified), trust=True)
    certificate.save(RESULTS / f"{name}.json")
    usable = [check.engine for check in certificate.checks if check.operators]
    among, right = engines_alone(q, usable, subject)
    print(certificate, f"{time.perf_counter() - begin:.0f} s", sep="\n", flush=True)
    return Row(name, subject.title, certificate, among, len(subject.many), right)


def exported(q: zp.QuantizedModel, folder: Path, name: str) -> list[Path]:
    """The files of the network; one that a format cannot carry is left out."""
    written = []
    for ending, options in FILES.items():
        path = folder / f"{name}{ending}"
        try:
            q.export(path, **options)
        except ExportError as error:
            print(error)
        else:
            written.append(path)
    return written


def engines_alone(
    q: zp.QuantizedModel, names: Sequence[str], subject: Subject
) -> tuple[dict[tuple[str, str], tuple[int, int]], dict[str, int]]:
    few, many = {}, {}
    for name in names:
        model = q.with_engine(name)
        few[name], many[name] = (
            torch.cat([model(x).argmax(1) for x in torch.split(whole, BATCH)])
            for whole in (subject.verified, subject.many)
        )
    among = {
        (a, b): (int((few[a] != few[b]).sum()), int((many[a] != many[b]).sum()))
        for a, b in itertools.combinations(names, 2)
    }
    labels = subject.labels
    if labels is None:
        return among, {}
    return among, {name: int((many[name] == labels).sum()) for name in names}


# --- the networks --------------------------------------------------------------------------------


def mnist_subject() -> Subject:
    calibration = open_data(mnist.dataset("train"), samples=CALIBRATION_IMAGES, shuffle_seed=0)
    x, labels = everything(mnist.dataset("test"))
    return Subject("MNIST network", mnist.trained(0), calibration, x[:256], x, labels)


def lenet_subject() -> Subject:
    model = lenet.trained(lenet.PLAIN, 0)
    calibration = lenet.images_of("train", samples=CALIBRATION_IMAGES, shuffle_seed=0)
    batches = list(lenet.images_of("test", batch_size=1000))
    x, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return Subject("LeNet on CIFAR-10", model, calibration, x[:256], x, labels)


def everything(data: str) -> tuple[Tensor, Tensor]:
    batches = list(open_data(data, batch_size=1000))
    x, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return x, labels


def seeded(title: str, network: Network, verified: int, many: int) -> Subject:
    calibration = torch.split(images(network.image, SEEDED_CALIBRATION_IMAGES, seed=0), 16)
    x = images(network.image, many, seed=1)
    return Subject(title, build(network), calibration, x[:verified], x)


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "mnist": mnist_subject,
    "lenet": lenet_subject,
    "resnet18": lambda: seeded("ResNet-18", network_named("resnet18"), 16, 256),
    "resnet50": lambda: seeded("ResNet-50", network_named("resnet50"), 8, 128),
    "mobilenet_v2": lambda: seeded("MobileNetV2", network_named("mobilenet_v2"), 16, 256),
    "mobilenet_v3": lambda: seeded(
        "MobileNetV3-like, hard-swish", Network("mobilenet_v3", (3, 96, 96), mobilenet_v3), 32, 512
    ),
}


# --- the page ------------------------------------------------------------------------------------


def page(rows: Sequence[Row]) -> str:
    return "\n\n".join([ABOUT, certificates(rows), ALONE, pairs(rows), describe(machine())]) + "\n"


def certificates(rows: Sequence[Row]) -> str:
    header = ("network", "images", "engine or file", "integers", "differing", "largest step")
    table = [
        (row.title, f"{row.certificate.samples}", check.engine, *cells(check))
        for row in rows
        for check in row.certificate.checks
    ]
    return markdown_table((*header, "decisions flipped", "outputs' difference", ""), table)


def cells(check: EngineCheck) -> tuple[str, ...]:
    if check.failure:
        return ("", "", "", "", "", check.failure)
    total = check.integers
    counted = (f"{total.compared:,}", f"{total.differing:,}", f"{total.largest}")
    return (
        *(counted if check.operators else ("", "", "")),
        f"{check.flips} of {check.decisions}",
        f"{100 * check.relative_difference:.2g} %",
        "passes" if check.passes else "FAILS",
    )


def pairs(rows: Sequence[Row]) -> str:
    table = [
        (
            row.title,
            f"{a} and {b}",
            f"{few} of {row.certificate.samples}",
            f"{many} of {row.many:,}",
            " and ".join(f"{row.right[name]:,}" for name in (a, b)) if row.right else "",
        )
        for row in rows
        for (a, b), (few, many) in row.among.items()
    ]
    return markdown_table(
        ("network", "engines", "same images", "many images", "right, of the many"), table
    )


def machine() -> Machine:
    """The machine with the versions of what runs here."""
    here = this_machine(command_line("benchmarks.exactness"), threads=1)
    names = ("zeropoint", "torch", "onnx", "onnxruntime", "openvino")
    return replace(here, versions={name: here.versions[name] for name in names})


ABOUT = """# Engines and files beside the reference

`zp.verify` on six networks, quantized for the engine `onednn`. *Integers*: every operator alone,
given the reference's own integers, its results compared one by one. *Decisions flipped*: images
whose greatest logit is another class's than the reference's. *Outputs' difference*: the largest
difference of a logit over the largest logit. A file shows its outputs only. Each operator's counts
are in the certificate, `NAME.json`.

MNIST and LeNet have their trained weights; the others have seeded weights, whose logits lie close
together: a step anywhere is as likely to flip a decision as it can be."""

ALONE = """## The engines among themselves

Decisions that differ between two engines that run the same program, on the images above and on
many more."""


if __name__ == "__main__":
    main()
