"""`zeropoint quantize`: SOURCE becomes FILE."""

import enum
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import zeropoint as zp
from zeropoint.atomic import check_writable
from zeropoint.cli.images import ImageOptions, with_image_options
from zeropoint.cli.options import (
    DataOption,
    EngineOption,
    JsonOption,
    SourceArgument,
    WeightsOption,
)
from zeropoint.cli.output import emit_json, megabytes, say
from zeropoint.cli.progress_bars import progress_bars
from zeropoint.source import load_model

SHUFFLE_SEED = 0


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


@with_image_options
def quantize(
    source: SourceArgument,
    *,
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
    images: ImageOptions,
    as_json: JsonOption = False,
) -> None:
    """Quantize SOURCE after training, calibrated on --data, into the file --out."""
    check_writable(out)
    model = load_model(source, weights=weights)
    loader = images.open(data, samples=samples, shuffle_seed=SHUFFLE_SEED)
    recipe = recipe_of(bits_weights, bits_activations, calibrator, keep_float or [])
    with progress_bars() as progress:
        quantized = zp.quantize(
            model, loader, recipe, samples=samples, engine=engine, progress=progress
        )
    quantized.save(out)
    size = out.stat().st_size
    if as_json:
        facts = {"file": str(out), "bytes": size, "seconds": quantized.timings}
        emit_json({**facts, "coverage": quantized.coverage().to_dict()})
        return
    seconds = sum(quantized.timings.values())
    say(quantized.coverage())
    sentence = f"Wrote {out}: {megabytes(size)} in {seconds:.1f} s"
    say(sentence, soft_wrap=True)


def recipe_of(
    bits_weights: int, bits_activations: int, calibrator: Calibrator, keep_float: list[str]
) -> zp.Recipe:
    ordinary = zp.Recipe()
    return zp.Recipe(
        weights=replace(ordinary.weights, bits=bits_weights),
        activations=replace(calibrator.chosen, bits=bits_activations),
        overrides=dict.fromkeys(keep_float),
    )
