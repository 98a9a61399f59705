"""The one function, as both files declare it."""

from zeropoint.export.c.routine import Port, Routine


def signature(routine: Routine, prefix: str) -> str:
    """`void model_run(const uint8_t input[...], int32_t output[...])`, without the semicolon."""
    opening = f"void {prefix}_run("
    parameters = [
        *(f"const {_parameter(port, prefix)}" for port in routine.inputs),
        *(_parameter(port, prefix) for port in routine.outputs),
    ]
    return opening + f",\n{' ' * len(opening)}".join(parameters) + ")"


def _parameter(port: Port, prefix: str) -> str:
    type = "int32_t" if port.wide else "uint8_t"
    return f"{type} {port.name}[{macro(port, prefix, 'SIZE')}]"


def macro(port: Port, prefix: str, what: str) -> str:
    """The name of a macro about a parameter."""
    return f"{prefix}_{port.name}_{what}".upper()
