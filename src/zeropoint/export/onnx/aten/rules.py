"""A call of torch's operator, and the rule that writes it."""

from collections.abc import Mapping, Sequence

from zeropoint.export.onnx.aten import (
    attention,
    axes,
    comparisons,
    elementwise,
    images,
    layers,
    looking_up,
    makers,
    recurrent,
    shapes,
    statistics,
)
from zeropoint.export.onnx.aten.arguments import Argument, Rule
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.ops.opaque import Opaque

RULES: Mapping[str, Rule] = {
    **elementwise.RULES,
    **axes.RULES,
    **layers.RULES,
    **shapes.RULES,
    **images.RULES,
    **comparisons.RULES,
    **makers.RULES,
    **looking_up.RULES,
    **statistics.RULES,
    **attention.RULES,
    **recurrent.RULES,
}


def opaque_form(sheet: Sheet, op: Opaque, operands: Sequence[Operand]) -> tuple[str, ...]:
    """The operator's results; Refusal if ONNX has no words for the call."""
    rule = RULES.get(op.target)
    if rule is None:
        raise Refusal(f"{op.target}, which its writer does not know")
    arguments = [_filled(item, operands) for item in op.arguments]
    keywords = {key: _filled(item, operands) for key, item in op.keywords}
    try:
        result = rule(sheet, *arguments, **keywords)
    except (TypeError, ValueError, AttributeError) as error:  # arguments of a kind no rule expects
        raise Refusal(f"{op.target} with these arguments: {error}") from error
    return result if isinstance(result, tuple) else (result,)


def _filled(item: Argument, operands: Sequence[Operand]) -> Argument:
    if not isinstance(item, tuple):
        return item
    kind, *rest = item
    if kind == "%":
        return operands[rest[0]]
    return [_filled(part, operands) for part in rest] if kind == "list" else item
