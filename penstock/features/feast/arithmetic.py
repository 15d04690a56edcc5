"""A function over a frame as PQL arithmetic, where it is that: columns made of sums, differences and products.

Only what means the same in both is taken. A division by a column is not: by zero it is infinite in a frame, and NULL
in PQL.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from penstock.features.feast.objects import Unfit
from penstock.features.feast.values import Function
from penstock.plan import quoted

_SIGNS: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


@dataclass(frozen=True)
class Expressions:
    """Features by name in PQL, and which inputs they rest on."""

    texts: Mapping[str, str]
    used: frozenset[str]


def expressions(function: Function, inputs: Collection[str], made: Collection[str]) -> Expressions:
    """For each feature that the function makes its expression over the inputs. Raises `Unfit`.

    Read is ``frame = pd.DataFrame()`` (or ``{}``), ``frame["feature"] = …`` once each, and ``return frame``.
    """
    node = function.node
    if len(node.args.args) != 1 or node.args.vararg or node.args.kwarg or node.args.kwonlyargs:
        raise Unfit("its function takes other than one argument")
    reader = _Reader(node.args.args[0].arg, inputs)
    for statement in node.body:
        reader.take(statement)
    if reader.returned is None or set(reader.found) != set(made):
        raise Unfit("its function is more than arithmetic of columns")
    return Expressions({name: reader.found[name] for name in made}, frozenset(reader.used))


class _Reader:
    """What has been read of a function's statements."""

    def __init__(self, argument: str, inputs: Collection[str]) -> None:
        self.argument, self.inputs = argument, inputs
        self.frame: str | None = None
        self.found: dict[str, str] = {}
        self.used: set[str] = set()
        self.returned: str | None = None

    def take(self, statement: ast.stmt) -> None:
        """Read a statement. Raises `Unfit`."""
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
                return
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self.frame is None and _is_empty(value):
                self.frame = name
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if self.frame is None and _is_empty(
                value
            ):
                self.frame = name
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as column))], value=value
            ) if name == self.frame and column not in self.found:
                self.found[column] = self._text(value)
            case ast.Return(value=ast.Name(id=name)) if name == self.frame:
                self.returned = name
            case ast.Return(value=ast.Dict(keys=keys, values=values)) if self.frame is None:
                for key, value in zip(keys, values, strict=True):
                    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                        raise Unfit("its function makes columns whose names are worked out")
                    self.found[key.value] = self._text(value)
                self.returned = self.argument
            case _:
                raise Unfit("its function is more than arithmetic of columns")

    def _text(self, node: ast.expr) -> str:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as column)):
                if name == self.argument and column in self.inputs:
                    self.used.add(column)
                    return quoted(column)
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return repr(number)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
                return f"({self._text(left)} {_SIGNS[type(op)]} {self._text(right)})"
            case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant(value=int() | float() as number)):
                if number and not isinstance(number, bool):
                    return f"({self._text(left)} / {number!r})"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(0 - {self._text(operand)})"
        raise Unfit("its function is more than arithmetic of columns")


def _is_empty(node: ast.expr) -> bool:
    """Whether this makes an empty frame or dictionary."""
    match node:
        case ast.Call(func=ast.Attribute(attr="DataFrame") | ast.Name(id="DataFrame" | "dict"), args=[], keywords=[]):
            return True
        case ast.Dict(keys=[]):
            return True
    return False
