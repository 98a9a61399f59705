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

import sys

import typer

from zeropoint.cli.commands import COMMANDS
from zeropoint.errors import ZeropointError

USERS_MISTAKE = 2
INTERRUPTED = 130

app = typer.Typer(
    help="Turn a trained PyTorch CNN into an int8 network, and see what it cost and gained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)


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
