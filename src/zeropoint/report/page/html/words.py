"""Numbers and sentences as the page shows them. None stands for what is infinite or unknown."""

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
GAP = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, so that no line ends there."""


def decibels(value: float | None) -> str:
    """`31.2 dB`."""
    return MISSING if value is None else f"{value:.1f}{GAP}dB".replace("-", MINUS)


def gain(value: float | None) -> str:
    """`+0.25 dB`."""
    return MISSING if value is None else f"{value:+.2f}{GAP}dB".replace("-", MINUS)


def percent(share: float | None, digits: int = 2) -> str:
    """`0.52 %`; what is too small to show is not shown as nothing."""
    if share is None:
        return MISSING
    least = 10.0**-digits
    if 0 < 100 * share < least:
        return f"<{GAP}{least:g}{GAP}%"
    return f"{100 * share:.{digits}f}{GAP}%" if share else f"0{GAP}%"


def megabytes(count: float) -> str:
    """`25.6 MB`, in steps of a million bytes."""
    size = count / 1e6
    return (
        f"{size:.3f}{GAP}MB"
        if size < 1
        else f"{size:.2f}{GAP}MB"
        if size < 10
        else f"{size:.1f}{GAP}MB"
    )


def milliseconds(value: float) -> str:
    """`1.23 ms`."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}{GAP}ms"


def times(ratio: float) -> str:
    """`3.97x`, with a proper cross."""
    return f"{ratio:.2f}{TIMES}"


def bare(text: str) -> str:
    """The number without its unit."""
    return text.rpartition(GAP)[0] or text


def counted(count: int, thing: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def sentence(text: str) -> str:
    """The text as a sentence: a capital and a full stop."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")
