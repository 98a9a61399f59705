"""What long work reports, drawn on stderr: one bar for each stage."""

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import TaskID

from zeropoint.progress import Progress


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
