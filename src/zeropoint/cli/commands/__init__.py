"""The commands, in the order in which help lists them; one file a command.

To add one, write its file and put it into the sequence: its name, its options and their help are
those of the function.
"""

from collections.abc import Callable

from zeropoint.cli.commands.bench import bench
from zeropoint.cli.commands.compare import compare
from zeropoint.cli.commands.demo import demo
from zeropoint.cli.commands.evaluate import evaluate
from zeropoint.cli.commands.export import export
from zeropoint.cli.commands.inspect import inspect
from zeropoint.cli.commands.quantize import quantize
from zeropoint.cli.commands.report import report
from zeropoint.cli.commands.verify import verify

COMMANDS: tuple[Callable[..., None], ...] = (
    demo,
    quantize,
    compare,
    report,
    evaluate,
    bench,
    inspect,
    export,
    verify,
)
