"""`zeropoint inspect`: what stands in FILE."""

from typing import Annotated

import typer

import zeropoint as zp
from zeropoint.cli.options import FileArgument, JsonOption
from zeropoint.cli.output import emit_json, pairs, say
from zeropoint.plan import Plan


def inspect(
    file: FileArgument,
    *,
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
    say(pairs(quantized.provenance), quantized.coverage(), quantized.plan)
    if program:
        typer.echo(str(quantized.program))


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
