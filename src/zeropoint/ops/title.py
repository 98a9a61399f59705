"""What an operator is called where people read it."""

from zeropoint.graph.op import Op
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.table import Table


def title(op: Op) -> str:
    """Its name; of an operator that zeropoint does not know torch's, of a table its functions'.

    >>> title(Table((("abs", "x"), ("sqrt", "x1"))))
    'abs, sqrt'
    """
    if isinstance(op, Opaque):
        return op.target
    return ", ".join(str(step[0]) for step in op.steps) if isinstance(op, Table) else op.name
