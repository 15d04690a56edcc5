"""What the values of a bound expression are."""

from __future__ import annotations

from penstock.errors import QueryError
from penstock.expression import Arithmetic, Expr
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


def misplaced(error: QueryError, message: str) -> QueryError:
    """The same error with another message, which says where the expression stands."""
    return QueryError(
        error.code, message, text=error.text, span=error.span, name=error.name, candidates=error.candidates,
        hint=error.hint,
    )  # fmt: skip
