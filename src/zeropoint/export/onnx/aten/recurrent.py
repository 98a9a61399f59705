"""LSTM, GRU and plain recurrent networks: a node for each layer, both directions in it.

torch's gates    LSTM i f g o    GRU r z n
ONNX's gates     LSTM i o f g    GRU z r n
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zeropoint.export.onnx.aten.arguments import Rule, extent_of
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.sheet import Attribute, Sheet


@dataclass(frozen=True)
class Kind:
    """An operator of ONNX, and which gate of torch stands in each of its places."""

    operator: str
    gates: tuple[int, ...]
    attributes: tuple[tuple[str, Attribute], ...] = ()


LSTM = Kind("LSTM", (0, 3, 1, 2))
GRU = Kind("GRU", (1, 0, 2), (("linear_before_reset", 1),))
TANH = Kind("RNN", (0,))


def recurrent(kind: Kind) -> Rule:
    """A recurrent network of layers, with its initial states given."""

    def rule(
        sheet: Sheet,
        x: Operand,
        states: Operand | Sequence[Operand],
        parameters: Sequence[Operand],
        has_biases: bool,
        layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[str, ...]:
        first = [states] if isinstance(states, Operand) else list(states)
        directions, each = 1 + bidirectional, 2 + 2 * has_biases
        if len(parameters) != layers * directions * each:
            raise ValueError("proj_size")
        y = sheet.emit("Transpose", x.name, perm=(1, 0, 2)) if batch_first else x.name
        last: list[tuple[str, ...]] = []
        for layer in range(layers):
            begin = layer * directions * each
            chosen = parameters[begin : begin + directions * each]
            weights = [chosen[i * each : (i + 1) * each] for i in range(directions)]
            initial = [_rows(sheet, state.name, layer * directions, directions) for state in first]
            y, *ends = _layer(sheet, kind, y, weights, initial)
            last.append(tuple(ends))
        if batch_first:
            y = sheet.emit("Transpose", y, perm=(1, 0, 2))
        joined = (_joined(sheet, ends, 0) for ends in zip(*last, strict=True))
        return (y, *joined)

    return rule


def _layer(
    sheet: Sheet,
    kind: Kind,
    x: str,
    weights: Sequence[Sequence[Operand]],
    initial: Sequence[str],
) -> tuple[str, ...]:
    """The sequence (T, N, directions H) and the last states."""
    hidden = extent_of(weights[0][1], 1)
    operands = _weights(sheet, kind, weights, hidden)
    results = sheet.emit_many(
        kind.operator,
        1 + len(initial),
        x,
        *operands,
        "",
        *initial,
        hidden_size=hidden,
        direction="bidirectional" if len(weights) == 2 else "forward",
        **dict(kind.attributes),
    )
    turned = sheet.emit("Transpose", results[0], perm=(0, 2, 1, 3))
    y = sheet.emit("Reshape", turned, sheet.integers([0, 0, -1]))
    return (y, *results[1:])


def _weights(
    sheet: Sheet, kind: Kind, weights: Sequence[Sequence[Operand]], hidden: int
) -> tuple[str, str, str]:
    """W, R and B of all directions; "" without biases."""
    ordered = [
        [_gates(sheet, kind, parameter, hidden) for parameter in direction] for direction in weights
    ]
    w, r, *biases = (_stacked(sheet, column) for column in zip(*ordered, strict=True))
    return w, r, sheet.emit("Concat", *biases, axis=1) if biases else ""


def _gates(sheet: Sheet, kind: Kind, parameter: Operand, hidden: int) -> str:
    rows = [gate * hidden + row for gate in kind.gates for row in range(hidden)]
    return sheet.emit("Gather", parameter.name, sheet.integers(rows), axis=0)


def _stacked(sheet: Sheet, parts: Sequence[str]) -> str:
    return _joined(sheet, [sheet.emit("Unsqueeze", p, sheet.integers([0])) for p in parts], 0)


def _joined(sheet: Sheet, parts: Sequence[str], axis: int) -> str:
    return parts[0] if len(parts) == 1 else sheet.emit("Concat", *parts, axis=axis)


def _rows(sheet: Sheet, x: str, begin: int, count: int) -> str:
    ends = [sheet.integers([n]) for n in (begin, begin + count, 0)]
    return sheet.emit("Slice", x, *ends)


def cell(kind: Kind) -> Rule:
    """One step."""

    def rule(
        sheet: Sheet,
        x: Operand,
        states: Operand | Sequence[Operand],
        *parameters: Operand | None,
    ) -> tuple[str, ...]:
        first = [states] if isinstance(states, Operand) else list(states)
        given = [parameter for parameter in parameters if parameter is not None]
        one = sheet.integers([0])
        initial = [sheet.emit("Unsqueeze", state.name, one) for state in first]
        _, *ends = _layer(sheet, kind, sheet.emit("Unsqueeze", x.name, one), [given], initial)
        return tuple(sheet.emit("Squeeze", end, one) for end in ends)

    return rule


RULES: Mapping[str, Rule] = {
    "aten.lstm.input": recurrent(LSTM),
    "aten.gru.input": recurrent(GRU),
    "aten.rnn_tanh.input": recurrent(TANH),
    "aten.lstm_cell.default": cell(LSTM),
    "aten.gru_cell.default": cell(GRU),
    "aten.rnn_tanh_cell.default": cell(TANH),
}
