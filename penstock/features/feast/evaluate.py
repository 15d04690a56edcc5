"""Expressions worked out without running anything: literals, names bound to them, and few pure functions.

Everything else is `UnreadableError`: a repository's code is parsed and never executed.
"""

from __future__ import annotations

import ast
import operator
import os.path
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import singledispatchmethod

from penstock.features.feast.values import Made, Named, Projection, Unread, UnreadableError, Where

PACKAGE = "feast"
DEFINED = frozenset({
    "Entity", "FeatureView", "BatchFeatureView", "StreamFeatureView", "OnDemandFeatureView", "FeatureService",
    "LabelView", "on_demand_feature_view", "stream_feature_view", "batch_feature_view",
})  # fmt: skip
"""The classes and decorators of Feast that define something by themselves."""
_MADE = DEFINED | {
    "Aggregation", "AthenaSource", "BigQuerySource", "Field", "Feature", "FileSource", "KafkaSource", "KinesisSource",
    "PostgreSQLSource", "Project", "PushSource", "RedshiftSource", "RequestSource", "SnowflakeSource", "SparkSource",
    "TrinoSource", "AvroFormat", "JsonFormat", "ParquetFormat", "ProtoFormat", "DeltaFormat", "CouchbaseColumnarSource",
    "ClickhouseSource", "MsSqlServerSource", "RaySource", "OracleSource", "MongoDBSource", "CustomSource",
}  # fmt: skip
_TYPES = frozenset({"Array", "Set", "Struct"})
STARRED = _MADE | _TYPES | {
    "Bool", "Bytes", "Decimal", "Float32", "Float64", "Int32", "Int64", "Invalid", "Json", "Map", "String", "TimeUuid",
    "UnixTimestamp", "Uuid", "ValueType",
}  # fmt: skip
"""What ``from feast… import *`` may bring."""
_LARGEST = 1_000_000_000
_LONGEST = 10_000

_OPERATORS: Mapping[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}

_PATHS: Mapping[str, Callable[..., object]] = {
    "os.path.join": os.path.join,
    "os.path.dirname": os.path.dirname,
    "os.path.abspath": os.path.normpath,
    "os.path.realpath": os.path.normpath,
    "os.path.normpath": os.path.normpath,
    "pathlib.Path": os.path.join,
    "str": lambda value: value,
}
"""Functions of paths, which are texts here; ``__file__`` is the file's path from the repository's folder on."""


@dataclass
class Scope:
    """The names of a module so far, and what has been made in it (by the identity of the call)."""

    file: str
    names: dict[str, object] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def attempt(self, node: ast.expr) -> object:
        """The expression's value, or `Unread`."""
        try:
            return self.value(node)
        except UnreadableError as unreadable:
            return Unread(str(unreadable))

    @singledispatchmethod
    def value(self, node: ast.expr) -> object:
        """The expression's value. Raises `UnreadableError`."""
        raise UnreadableError(_spoken(node))

    @value.register
    def _(self, node: ast.Constant) -> object:
        return node.value

    @value.register
    def _(self, node: ast.Name) -> object:
        if node.id == "__file__":
            return self.file
        if node.id not in self.names:
            if node.id in ("str", "dict", "list", "tuple"):
                return Named(node.id)
            raise UnreadableError(f"{node.id} is not known before the code runs")
        found = self.names[node.id]
        if isinstance(found, Unread):
            raise UnreadableError(f"{node.id}: {found.reason}" if found.reason else node.id)
        return found

    @value.register(ast.List)
    @value.register(ast.Tuple)
    def _(self, node: ast.List | ast.Tuple) -> object:
        return [self.value(one) for one in node.elts]

    @value.register
    def _(self, node: ast.Dict) -> object:
        found: dict[object, object] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise UnreadableError("a dictionary is spread into another")
            name = self.value(key)
            if not isinstance(name, str | int | float | bool):
                raise UnreadableError("a dictionary has a key that is no text or number")
            found[name] = self.value(value)
        return found

    @value.register
    def _(self, node: ast.UnaryOp) -> object:
        found = self.value(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(found, int | float | timedelta):
            return -found
        raise UnreadableError(_spoken(node))

    @value.register
    def _(self, node: ast.BinOp) -> object:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Div) and isinstance(left, str) and isinstance(right, str):
            return os.path.join(left, right)  # noqa: PTH118  a path of another system's code, as text
        if isinstance(node.op, ast.Add) and isinstance(left, str | list) and type(left) is type(right):
            return left + right  # type: ignore[operator]
        return _arithmetic(node, left, right)

    @value.register
    def _(self, node: ast.Attribute) -> object:
        found = self.value(node.value)
        if isinstance(found, Named):
            return Named(f"{found.path}.{node.attr}")
        if isinstance(found, Scope):
            return found.value(ast.Name(node.attr))
        if isinstance(found, Made) and node.attr in found.said:
            return found.said[node.attr]
        if isinstance(found, str) and node.attr == "parent":
            return os.path.dirname(found)  # noqa: PTH120
        raise UnreadableError(_spoken(node))

    @value.register
    def _(self, node: ast.Subscript) -> object:
        found, index = self.value(node.value), self.value(node.slice)
        if isinstance(found, Made | Projection) and isinstance(index, list):
            return replace(projected(found), features=tuple(str(one) for one in index))
        try:
            return found[index]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            raise UnreadableError(_spoken(node)) from None

    @value.register
    def _(self, node: ast.Call) -> object:
        method = self._method(node)
        if method is not None:
            return method
        called = self.value(node.func)
        if not isinstance(called, Named):
            raise UnreadableError(_spoken(node))
        if _is_feast(called) and called.last in _MADE:
            return self.made(node, called.last)
        if _is_feast(called) and called.last in _TYPES:
            return [called, *(self.attempt(one) for one in node.args)]
        if called.path == "datetime.timedelta":
            return _timedelta([self.value(one) for one in node.args], self._keywords(node))
        if called.path in _PATHS:
            texts = [self.value(one) for one in node.args]
            if texts and not node.keywords and all(isinstance(one, str) for one in texts):
                return _PATHS[called.path](*texts)
        if called.path == "dict" and not node.args:
            return self._keywords(node)
        raise UnreadableError(_called(called.path))

    def made(self, node: ast.Call, kind: str) -> Made:
        """The object that a class of Feast would make."""
        self.seen.add(id(node))
        first = "path" if kind == "FileSource" else "name"
        if len(node.args) > 1:
            raise UnreadableError("its arguments are not told by name")
        said = {name: self.attempt(one) for name, one in zip((first,), node.args, strict=False)}
        for keyword in node.keywords:
            if keyword.arg is None:
                spread = self.value(keyword.value)
                if not isinstance(spread, dict):
                    raise UnreadableError("its arguments are spread from something that is no dictionary")
                said |= {str(name): value for name, value in spread.items()}
            else:
                said[keyword.arg] = self.attempt(keyword.value)
        return Made(kind, said, Where(self.file, node.lineno))

    def _keywords(self, node: ast.Call) -> dict[str, object]:
        if any(one.arg is None for one in node.keywords):
            raise UnreadableError("its arguments are spread")
        return {str(one.arg): self.value(one.value) for one in node.keywords}

    def _method(self, node: ast.Call) -> object | None:
        """What a method of a value gives that Feast's views or paths have; None for any other call."""
        if not isinstance(node.func, ast.Attribute):
            return None
        of = self.value(node.func.value)
        if isinstance(of, str) and node.func.attr in ("resolve", "absolute", "as_posix") and not node.args:
            return os.path.normpath(of)
        if not isinstance(of, Made | Projection) or node.func.attr not in ("with_name", "with_join_key_map"):
            return None
        said = [self.value(one) for one in node.args] + list(self._keywords(node).values())
        if node.func.attr == "with_name" and len(said) == 1 and isinstance(said[0], str):
            return replace(projected(of), alias=said[0])
        if len(said) == 1 and isinstance(said[0], dict):
            return replace(projected(of), keys={str(name): str(value) for name, value in said[0].items()})
        raise UnreadableError(_spoken(node))


def projected(of: Made | Projection) -> Projection:
    """A view as a projection of all that it has."""
    return of if isinstance(of, Projection) else Projection(of)


def is_definition(called: object) -> bool:
    """Whether calling this would define something."""
    return isinstance(called, Named) and _is_feast(called) and called.last in DEFINED


def _is_feast(named: Named) -> bool:
    return named.path.partition(".")[0] == PACKAGE


def _arithmetic(node: ast.BinOp, left: object, right: object) -> object:
    numbers = (int, float, timedelta)
    plain = all(isinstance(one, numbers) and not isinstance(one, bool) for one in (left, right))
    if type(node.op) not in _OPERATORS or not plain or _is_huge(left) or _is_huge(right):
        raise UnreadableError(_spoken(node))
    try:
        return _OPERATORS[type(node.op)](left, right)
    except (ArithmeticError, TypeError):
        raise UnreadableError(_spoken(node)) from None


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and abs(value) > _LARGEST


def _timedelta(said: Sequence[object], named: Mapping[str, object]) -> timedelta:
    try:
        return timedelta(*said, **named)  # type: ignore[arg-type]
    except (TypeError, ArithmeticError):
        raise UnreadableError("its timedelta cannot be worked out") from None


def _called(path: str) -> str:
    if path in ("os.getenv", "os.environ.get"):
        return "it is read from the environment"
    return f"it is worked out by {path}"


_WORDS: Mapping[type[ast.expr], str] = {
    ast.JoinedStr: "it is an f-string",
    ast.ListComp: "it is worked out in a loop",
    ast.DictComp: "it is worked out in a loop",
    ast.GeneratorExp: "it is worked out in a loop",
    ast.IfExp: "it depends on a condition",
    ast.BoolOp: "it depends on a condition",
    ast.Lambda: "it is a function",
}


def _spoken(node: ast.expr) -> str:
    if type(node) in _WORDS:
        return _WORDS[type(node)]
    text = " ".join(ast.unparse(node).split())
    if text.startswith("os.environ"):
        return "it is read from the environment"
    return f"{text if len(text) <= 60 else text[:57] + '…'} would have to be run"
