"""What the values of a bound expression are."""

from __future__ import annotations

from penstock.errors import QueryError
from penstock.expression import Arithmetic, Expr, Match
from penstock.language.scope import Scope
from penstock.language.typed import label
from penstock.plan import Aggregate, Field, Latest
from penstock.schema import Dtype, Graph

_NOWHERE = Scope(Graph(()), "")


def dtype_of(expression: Expr) -> Dtype:
    """The dtype of what an engine gives for it: whatever is calculated is a float.

    >>> from penstock.expression import Arithmetic, Constant
    >>> dtype_of(Arithmetic("+", Constant(1), Constant(2))), dtype_of(Constant(True))
    (<Dtype.FLOAT: 'float'>, <Dtype.BOOL: 'bool'>)
    """
    if isinstance(expression, Arithmetic):
        return Dtype.FLOAT
    return expression.dtype if isinstance(expression, Latest) else label(_NOWHERE, expression).dtype


def list_of(expression: Expr) -> Dtype | None:
    """The dtype of the elements where it gives lists, else None."""
    if dtype_of(expression) is not Dtype.LIST:
        return None
    listed = isinstance(expression, Aggregate) and expression.function == "LIST_DISTINCT"
    value = expression.value if isinstance(expression, Aggregate) and listed else None
    return value.dtype if isinstance(value, Field) and value.dtype is not Dtype.LIST else Dtype.STRING


def items_of(expression: Expr, graph: Graph) -> Dtype | None:
    """The dtype of what the lists of a column hold that are given as they are; None for all else, and for texts."""
    if isinstance(expression, Latest):
        return graph.table(expression.stream.table).column(expression.column).items
    return graph.table(expression.table).column(expression.column).items if isinstance(expression, Field) else None


def must_not_be_listed(expression: Expr, graph: Graph) -> None:
    """Raise ``QueryError`` where an expression asks what lists of fractions or of instants contain."""
    for node in expression.walk():
        items = items_of(node.operand, graph) if isinstance(node, Match) else None
        if items in (Dtype.FLOAT, Dtype.TIMESTAMP):
            message = f"{node} asks what lists of {items} contain: nothing is exactly equal to a {items}"
            hint = "Take the lists as they are, in a view of newest values."
            raise QueryError("PQL_TYPE_OPERATOR_NEEDS_STRING", message, hint=hint)


def misplaced(error: QueryError, message: str) -> QueryError:
    """The same error with another message, which says where the expression stands."""
    return QueryError(
        error.code, message, text=error.text, span=error.span, name=error.name, candidates=error.candidates,
        hint=error.hint,
    )  # fmt: skip
