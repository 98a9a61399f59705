"""Calls of recurrent networks and of attention."""

from typing import Any

from tests.export.onnx.calls import Call, X, Y, Z, listed

TOKENS = (2, 3, 5, 4)
HEADS = (TOKENS, TOKENS, TOKENS)


def network(
    kind: str, *, layers: int = 1, both: bool = False, batch_first: bool = True, biases: bool = True
) -> Call:
    """A network of 4 features to 3, with initial states that are not zero."""
    gates = {"lstm": 4, "gru": 3, "rnn_tanh": 1}[kind]
    directions, states = 1 + both, 2 if kind == "lstm" else 1
    x = (2, 5, 4) if batch_first else (5, 2, 4)
    shapes: list[tuple[int, ...]] = [x, *[(layers * directions, 2, 3)] * states]
    for layer in range(layers):
        for _ in range(directions):
            shapes += [(3 * gates, 3 * directions if layer else 4), (3 * gates, 3)]
            shapes += [(3 * gates,)] * 2 if biases else []
    first: Any = listed(Y, Z) if states == 2 else Y
    parameters = listed(*[("%", i) for i in range(1 + states, len(shapes))])
    arguments = (X, first, parameters, biases, layers, 0.0, False, both, batch_first)
    return Call(f"aten.{kind}.input", arguments, tuple(shapes))


CALLS = [
    *[network(kind) for kind in ("lstm", "gru", "rnn_tanh")],
    *[network(kind, layers=2, both=True) for kind in ("lstm", "gru")],
    *[network(kind, batch_first=False, biases=False) for kind in ("lstm", "gru", "rnn_tanh")],
    Call(
        "aten.lstm_cell.default",
        (X, listed(Y, Z), ("%", 3), ("%", 4), ("%", 5), ("%", 6)),
        ((2, 4), (2, 3), (2, 3), (12, 4), (12, 3), (12,), (12,)),
    ),
    Call(
        "aten.gru_cell.default",
        (X, Y, ("%", 2), ("%", 3), ("%", 4), ("%", 5)),
        ((2, 4), (2, 3), (9, 4), (9, 3), (9,), (9,)),
    ),
    Call("aten.rnn_tanh_cell.default", (X, Y, Z, ("%", 3)), ((2, 4), (2, 3), (3, 4), (3, 3))),
    Call("aten.scaled_dot_product_attention.default", (X, Y, Z), HEADS),
    Call("aten.scaled_dot_product_attention.default", (X, Y, Z, None, 0.0, True), HEADS),
    Call(
        "aten.scaled_dot_product_attention.default",
        (X, Y, Z, ("%", 3)),
        (*HEADS, (5, 5)),
        (("scale", 0.3),),
    ),
    Call(
        "aten.scaled_dot_product_attention.default",
        (X, Y, Z, ("%", 3)),
        (*HEADS, (1, 1, 1, 5)),
        masks=(3,),
    ),
]
