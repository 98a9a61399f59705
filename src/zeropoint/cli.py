"""The package from the shell: each command is a few calls of the public functions.

    zeropoint demo
    zeropoint quantize net.py:factory --weights net.pt --data train/ --out int8.safetensors
    zeropoint compare net.py:factory int8.safetensors --weights net.pt --data val/ --size 224
    zeropoint report net.py:factory int8.safetensors --weights net.pt --data val/ --out report.html
    zeropoint evaluate int8.safetensors --data val/ --size 224
    zeropoint bench net.py:factory int8.safetensors
    zeropoint inspect int8.safetensors
    zeropoint export int8.safetensors model.onnx --opset 21
    zeropoint verify int8.safetensors --data val/ --size 224 --exported model.onnx

A table goes to stdout, or with `--json` the same facts as one JSON object; progress bars go to
stderr, and only if nothing is piped. A mistake is one sentence on stderr and exit code 2; `verify`
leaves with 1 where an engine or a file does not compute what the program says.
"""

import contextlib
import enum
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import TaskID
from rich.table import Table
from torch import Tensor

import zeropoint as zp
from zeropoint.data import Columns, Preparation, open_data
from zeropoint.demo import demonstrate
from zeropoint.errors import DataError, FileError, ZeropointError
from zeropoint.plan import Plan
from zeropoint.progress import Progress
from zeropoint.report.compare import measure_latency, top1
from zeropoint.report.page.report import report as write_report
from zeropoint.report.page.report import writable
from zeropoint.source import first_line, load_model

FAILED = 1
USERS_MISTAKE = 2
INTERRUPTED = 130
SHUFFLE_SEED = 0
# Rich would fold tables to 80 columns in a file, where nobody can widen the window.
PIPED_WIDTH = 160
BYTES_PER_MEGABYTE = 2**20

app = typer.Typer(
    help="Turn a trained PyTorch CNN into an int8 network, and see what it cost and gained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main(arguments: list[str] | None = None) -> None:
    """The command of that name; always leaves by SystemExit."""
    try:
        code = app(arguments, standalone_mode=False)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except ZeropointError as error:
        complain(str(error))
    except typer.TyperException as error:
        complain(error.format_message())
    else:
        sys.exit(code)


def complain(sentence: str) -> None:
    if sentence:  # empty where typer has already shown the help
        typer.echo(f"zeropoint: {sentence}", err=True)
    sys.exit(USERS_MISTAKE)


# --- options that several commands share -------------------------------------------------------


class Calibrator(enum.StrEnum):
    """How ranges of activations are chosen."""

    MSE = "mse"
    MIN_MAX = "min-max"
    MOVING_AVERAGE = "moving-average"
    SIGMA = "sigma"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    BEST = "best"

    @property
    def chosen(self) -> zp.TensorSpec:
        """The specification of activations that the name stands for."""
        made = {
            Calibrator.MSE: zp.MSE,
            Calibrator.MIN_MAX: zp.MinMax,
            Calibrator.MOVING_AVERAGE: zp.MovingAverage,
            Calibrator.SIGMA: zp.Sigma,
            Calibrator.PERCENTILE: zp.Percentile,
            Calibrator.ENTROPY: zp.Entropy,
            Calibrator.BEST: zp.Best,
        }
        return replace(zp.Recipe().activations, calibrator=made[self]())


class Form(enum.StrEnum):
    """How ONNX says int8."""

    QDQ = "qdq"
    QOPERATOR = "qoperator"


class RoundingName(enum.StrEnum):
    """How C requantizes."""

    SINGLE = "single"
    DOUBLE = "double"


SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="net.py:factory, package.module:factory or a .pt2")
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="What quantize wrote")]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="A .safetensors or .pt state dict for SOURCE")
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data", help="A folder of class/name.png, a .parquet file, or a hub name like a/b:test"
    ),
]
SizeOption = Annotated[
    str | None, typer.Option("--size", metavar="HxW", help="Scale to cover, cut out the centre")
]
MeanOption = Annotated[
    str, typer.Option("--mean", metavar="M[,M,M]", help="Subtracted from pixel / 255")
]
StdOption = Annotated[
    str, typer.Option("--std", metavar="S[,S,S]", help="What the difference is divided by")
]
ChannelsOption = Annotated[
    int | None, typer.Option("--channels", help="1 or 3; default: as the images are")
]
BatchOption = Annotated[int, typer.Option("--batch-size", help="Images in a batch")]
ImageColumnOption = Annotated[
    str | None, typer.Option("--image-column", help="Where a table does not tell by itself")
]
LabelColumnOption = Annotated[
    str | None, typer.Option("--label-column", help="Where a table does not tell by itself")
]
LimitOption = Annotated[
    int | None, typer.Option("--samples", help="Use the first so many images; default: all")
]
EngineOption = Annotated[str, typer.Option("--engine", help="What runs it; auto: the fastest here")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables")]


# --- commands ----------------------------------------------------------------------------------


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option(help="Keep the int8 network in this file")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small network on handwritten digits, quantize, compare, save, reload."""
    with progress_bars() as progress:
        shown = demonstrate(out=out, progress=progress)
    if as_json:
        emit_json({**shown.comparison.to_dict(), "reloaded_is_equal": shown.reloaded_is_equal})
        return
    console = stdout()
    console.print(shown.comparison)
    console.print(
        "Saved, and reloaded without the model's class: the outputs are "
        + ("equal." if shown.reloaded_is_equal else "NOT equal.")
    )


@app.command()
def quantize(
    source: SourceArgument,
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="Where the int8 network goes")],
    weights: WeightsOption = None,
    samples: Annotated[int, typer.Option(help="Images to calibrate with")] = 512,
    engine: EngineOption = "auto",
    bits_weights: Annotated[int, typer.Option(help="Bits of a weight")] = 8,
    bits_activations: Annotated[int, typer.Option(help="Bits of an activation")] = 8,
    calibrator: Annotated[
        Calibrator, typer.Option(help="How ranges of activations are chosen")
    ] = Calibrator.MSE,
    keep_float: Annotated[
        list[str] | None,
        typer.Option("--float", metavar="LAYER", help="Keep this layer float; may be repeated"),
    ] = None,
    size: SizeOption = None,
    mean: MeanOption = "0",
    std: StdOption = "1",
    channels: ChannelsOption = None,
    batch_size: BatchOption = 32,
    image_column: ImageColumnOption = None,
    label_column: LabelColumnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Quantize SOURCE after training, calibrated on --data, into the file --out."""
    require_folder_of(out)
    model = load_model(source, weights=weights)
    loader = open_data(
        data,
        preparation=preparation_of(size, mean, std, channels),
        columns=Columns(image_column, label_column),
        batch_size=batch_size,
        samples=samples,
        shuffle_seed=SHUFFLE_SEED,
    )
    recipe = recipe_of(bits_weights, bits_activations, calibrator, keep_float or [])
    with progress_bars() as progress:
        quantized = zp.quantize(
            model, loader, recipe, samples=samples, engine=engine, progress=progress
        )
    quantized.save(out)
    facts = {"file": str(out), "bytes": out.stat().st_size, "seconds": quantized.timings}
    if as_json:
        emit_json({**facts, "coverage": quantized.coverage().to_dict()})
        return
    console = stdout()
    console.print(quantized.coverage())
    console.print(
        f"Wrote {out}: {out.stat().st_size / BYTES_PER_MEGABYTE:.2f} MB "
        f"in {sum(quantized.timings.values()):.1f} s",
        soft_wrap=True,
    )


@app.command()
def compare(
    source: SourceArgument,
    file: FileArgument,
    data: DataOption,
    weights: WeightsOption = None,
    engine: EngineOption = "auto",
    latency: Annotated[bool, typer.Option(help="Measure latency too")] = True,
    samples: LimitOption = None,
    size: SizeOption = None,
    mean: MeanOption = "0",
    std: StdOption = "1",
    channels: ChannelsOption = None,
    batch_size: BatchOption = 32,
    image_column: ImageColumnOption = None,
    label_column: LabelColumnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run SOURCE and FILE on --data: accuracy, agreement, size, latency, coverage."""
    loader = open_data(
        data,
        preparation=preparation_of(size, mean, std, channels),
        columns=Columns(image_column, label_column),
        batch_size=batch_size,
        samples=samples,
    )
    quantized = zp.load(file, engine=engine)
    model = load_model(source, weights=weights)
    example = next(iter(loader))[0][:1]
    require_runs(source, model, example)
    require_runs(str(file), quantized, example)
    with progress_bars(total=loader.samples) as progress:
        card = zp.compare(model, quantized, loader, latency=latency, progress=progress)
    if as_json:
        emit_json(card.to_dict())
    else:
        stdout().print(card)


@app.command()
def report(
    source: SourceArgument,
    file: FileArgument,
    data: DataOption,
    out: Annotated[
        Path, typer.Option("--out", help="Where the page goes; its data go beside it, as .json")
    ] = Path("report.html"),
    weights: WeightsOption = None,
    engine: EngineOption = "auto",
    latency: Annotated[bool, typer.Option(help="Measure latency too")] = True,
    samples: LimitOption = None,
    analysed: Annotated[
        int, typer.Option(help="Images, of these, on which the error of each layer is measured")
    ] = 128,
    size: SizeOption = None,
    mean: MeanOption = "0",
    std: StdOption = "1",
    channels: ChannelsOption = None,
    batch_size: BatchOption = 32,
    image_column: ImageColumnOption = None,
    label_column: LabelColumnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare SOURCE and FILE layer by layer: one HTML page with every error."""
    writable(out)
    loader = open_data(
        data,
        preparation=preparation_of(size, mean, std, channels),
        columns=Columns(image_column, label_column),
        batch_size=batch_size,
        samples=samples,
    )
    quantized = zp.load(file, engine=engine)
    model = load_model(source, weights=weights)
    example = next(iter(loader))[0][:1]
    require_runs(source, model, example)
    require_runs(str(file), quantized, example)
    with progress_bars(total=loader.samples) as progress:
        written = write_report(
            model, quantized, loader, out, samples=analysed, latency=latency, progress=progress
        )
    if as_json:
        emit_json(written.to_dict())
    else:
        stdout().print(written, soft_wrap=True)


@app.command()
def evaluate(
    file: FileArgument,
    data: DataOption,
    engine: EngineOption = "auto",
    samples: LimitOption = None,
    size: SizeOption = None,
    mean: MeanOption = "0",
    std: StdOption = "1",
    channels: ChannelsOption = None,
    batch_size: BatchOption = 32,
    image_column: ImageColumnOption = None,
    label_column: LabelColumnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Top-1 accuracy of FILE on --data."""
    loader = open_data(
        data,
        preparation=preparation_of(size, mean, std, channels),
        columns=Columns(image_column, label_column),
        batch_size=batch_size,
        samples=samples,
    )
    quantized = zp.load(file, engine=engine)
    require_scores(file, quantized, next(iter(loader))[0][:1])
    correct = done = 0
    with progress_bars(total=loader.samples) as progress:
        for images, labels in loader:
            correct += int(top1(quantized(images), labels).sum())
            done += len(images)
            progress("evaluate", done, None)
    facts = {
        "samples": loader.samples,
        "correct": correct,
        "accuracy": correct / loader.samples,
        "engine": quantized.engine,
    }
    if as_json:
        emit_json(facts)
    else:
        stdout().print(pairs(facts))


@app.command()
def bench(
    source: SourceArgument,
    file: FileArgument,
    weights: WeightsOption = None,
    engine: EngineOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Latency of SOURCE and FILE at batch 1 and 16, interleaved in one run."""
    quantized = zp.load(file, engine=engine)
    model = load_model(source, weights=weights)
    example = random_inputs(quantized)
    require_runs(source, model, *example)
    latency = measure_latency(model, quantized, example)
    if as_json:
        emit_json({"milliseconds": latency, "threads": torch.get_num_threads()})
    else:
        stdout().print(latency_table(latency))


@app.command()
def inspect(
    file: FileArgument,
    program: Annotated[bool, typer.Option("--program", help="The whole integer program")] = False,
    as_json: JsonOption = False,
) -> None:
    """What FILE is: layers in int8, every grid, where it comes from."""
    quantized = zp.load(file, engine="reference")  # nothing is run
    if as_json:
        emit_json(
            {
                "provenance": quantized.provenance,
                "coverage": quantized.coverage().to_dict(),
                "plan": grids(quantized.plan),
                **({"program": str(quantized.program)} if program else {}),
            }
        )
        return
    console = stdout()
    console.print(pairs(quantized.provenance), quantized.coverage(), quantized.plan)
    if program:
        typer.echo(str(quantized.program))


@app.command()
def export(
    file: FileArgument,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="model.onnx, model.xml, model.pt2 or model.c")
    ],
    form: Annotated[
        Form | None, typer.Option(help="ONNX: float operators between grids, or integer operators")
    ] = None,
    opset: Annotated[int | None, typer.Option(help="ONNX: the version of the operator set")] = None,
    exact: Annotated[
        bool | None,
        typer.Option("--exact/--no-exact", help="ONNX: additions as the program has them"),
    ] = None,
    rounding: Annotated[
        RoundingName | None, typer.Option(help="C: one rounding, or two like TFLite")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write FILE in the format of OUT's suffix, for other engines."""
    options = {
        "form": form and form.value,
        "opset": opset,
        "exact": exact,
        "rounding": rounding and rounding.value,
    }
    given = {name: value for name, value in options.items() if value is not None}
    zp.load(file, engine="reference").export(out, **given)
    written = {str(path): path.stat().st_size for path in files_of(out)}
    if as_json:
        emit_json({"files": written})
        return
    console = stdout()
    for path, size in written.items():
        console.print(f"Wrote {path}: {size / BYTES_PER_MEGABYTE:.2f} MB", soft_wrap=True)


@app.command()
def verify(
    file: FileArgument,
    data: DataOption,
    engines: Annotated[
        str | None,
        typer.Option(metavar="A[,B]", help="Engines to check; default: all that are usable here"),
    ] = None,
    exported: Annotated[
        list[Path] | None,
        typer.Option(metavar="MODEL", help="What export wrote; may be repeated"),
    ] = None,
    samples: Annotated[int, typer.Option(help="Images to compare on")] = 64,
    out: Annotated[
        Path | None, typer.Option("--out", help="Save the certificate here, as JSON")
    ] = None,
    size: SizeOption = None,
    mean: MeanOption = "0",
    std: StdOption = "1",
    channels: ChannelsOption = None,
    batch_size: BatchOption = 32,
    image_column: ImageColumnOption = None,
    label_column: LabelColumnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run engines and exported files beside FILE's exact integers; leave with 1 if one fails."""
    if out is not None:
        require_folder_of(out)
    loader = open_data(
        data,
        preparation=preparation_of(size, mean, std, channels),
        columns=Columns(image_column, label_column),
        batch_size=batch_size,
        samples=samples,
    )
    quantized = zp.load(file, engine="reference")
    with progress_bars(total=loader.samples) as progress:
        certificate = zp.verify(
            quantized,
            loader,
            None if engines is None else [name for name in engines.split(",") if name],
            files=exported or [],
            samples=samples,
            progress=progress,
        )
    if out is not None:
        certificate.save(out)
    if as_json:
        emit_json(certificate.to_dict())
    else:
        stdout().print(certificate)
    if not certificate.passes:
        raise typer.Exit(FAILED)


# --- arguments to what the package takes -------------------------------------------------------


def preparation_of(size: str | None, mean: str, std: str, channels: int | None) -> Preparation:
    return Preparation(
        size=None if size is None else height_and_width(size),
        mean=numbers(mean),
        std=numbers(std),
        channels=channels,
    )


def height_and_width(text: str) -> tuple[int, int]:
    """`224` or `224x320`, height first."""
    height, _, width = text.partition("x")
    if not height.isdigit() or not (width or height).isdigit():
        raise typer.BadParameter(f"{text} is no size; expected 224 or 224x320, height first")
    return int(height), int(width or height)


def numbers(text: str) -> tuple[float, ...]:
    """`0.5` or `0.485,0.456,0.406`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text} is no list of numbers like 0.485,0.456,0.406") from None


def recipe_of(
    bits_weights: int, bits_activations: int, calibrator: Calibrator, keep_float: list[str]
) -> zp.Recipe:
    ordinary = zp.Recipe()
    return zp.Recipe(
        weights=replace(ordinary.weights, bits=bits_weights),
        activations=replace(calibrator.chosen, bits=bits_activations),
        overrides=dict.fromkeys(keep_float),
    )


def random_inputs(quantized: zp.QuantizedModel) -> tuple[Tensor, ...]:
    """One sample of each input, in the shape that the network was quantized with."""
    generator = torch.Generator().manual_seed(0)
    shapes = quantized.program.provenance.input_shapes
    return tuple(torch.rand(shape, generator=generator) for shape in shapes)


def require_runs(name: str, network: Callable[..., object], *inputs: Tensor) -> object:
    """What the network makes of the inputs; DataError if it does not take their shapes."""
    try:
        with torch.no_grad():
            return network(*inputs)
    except ZeropointError:
        raise
    except Exception as error:  # a shape that does not fit fails in whatever layer meets it first
        shapes = " and ".join(str(tuple(x.shape)) for x in inputs)
        raise DataError(
            f"{name} does not take an input of the shape {shapes}: {first_line(error)}"
        ) from error


def require_scores(file: Path, quantized: zp.QuantizedModel, image: Tensor) -> None:
    outputs = require_runs(str(file), quantized, image)
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        raise DataError(f"{file} does not give one score for each class; accuracy is not defined")


def require_folder_of(out: Path) -> None:
    """FileError now rather than after minutes of calibration."""
    if not out.parent.is_dir():
        raise FileError(f"cannot write {out}: {out.parent} is no folder")
    if out.is_dir():
        raise FileError(f"cannot write {out}: it is a folder")


def files_of(out: Path) -> list[Path]:
    """What export has written: two formats have a second file beside the one that is named."""
    beside = {".xml": ".bin", ".c": ".h"}
    names = [out, out.with_suffix(beside[out.suffix])] if out.suffix in beside else [out]
    return [path for path in names if path.exists()]


# --- output ------------------------------------------------------------------------------------


def stdout() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def pairs(facts: Mapping[str, object]) -> Table:
    """Names and what they stand for, one to a row."""
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    return table


def latency_table(latency: Mapping[str, Mapping[int, float]]) -> Table:
    batches = sorted(next(iter(latency.values())))
    table = Table("", *(f"batch {batch}" for batch in batches), title="median latency")
    for name, milliseconds in latency.items():
        table.add_row(name, *(f"{milliseconds[batch]:.2f} ms" for batch in batches))
    return table


def grids(plan: Plan) -> list[dict[str, object]]:
    """The plan's rows as JSON data: what its table shows, with every channel."""
    return [
        {
            "value": name,
            "grid": type(entry).__name__.lower(),
            "type": str(entry.params.type),
            "axis": entry.params.axis,
            "scale": entry.params.scale.tolist(),
            "zero_point": entry.params.zero_point.tolist(),
        }
        for name, entry in plan.entries.items()
    ]


def emit_json(facts: dict[str, object]) -> None:
    typer.echo(json.dumps(finite(facts), indent=2, default=str))


def finite(value: object) -> object:
    """The same with null for infinity and NaN, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def progress_bars(total: int | None = None) -> Iterator[Progress]:
    """A function that draws one bar for each stage, or nothing where output is piped.

    `total` stands in where a stage does not know how much there is.
    """
    hidden = not (sys.stdout.isatty() and sys.stderr.isatty())
    with Bars(console=Console(stderr=True), transient=True, disable=hidden) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, of: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=of or total)

        yield report
