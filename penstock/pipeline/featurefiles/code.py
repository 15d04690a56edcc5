"""What the version of a Python function rests on: its code, and all that this uses of its module."""

from __future__ import annotations

import ast
import datetime as dt
from decimal import Decimal
from pathlib import Path
from types import ModuleType

from penstock.features.views.spelling import on_demand

_LITERAL = frozenset({type(None), bool, int, float, str, bytes})
_NAMED = frozenset({Decimal, dt.date, dt.datetime, dt.time, dt.timedelta})


def source(tree: ast.Module, module: ModuleType, name: str) -> str:
    """A function of a module with what it rests on there; nothing where the module's text does not define it.

    Plain values (numbers, texts, instants, lists and dictionaries of them) are told as they were when the file had run,
    in whatever way it made them. Of everything else the statements that give it are told, in their order.
    """
    makers = _makers(tree)
    wanted: set[int] = set()
    values: dict[str, str] = {}
    waiting = [at for at in makers.get(name, []) if isinstance(tree.body[at], ast.FunctionDef)]
    for at in waiting:
        _spare(tree.body[at], module)
    while waiting:
        at = waiting.pop()
        if at in wanted:
            continue
        wanted.add(at)
        for used in _uses(tree.body[at]) & makers.keys():
            value = _value(module, used)
            if value is None:
                waiting += makers[used]
            else:
                values[used] = f"{used} = {value}"
    return "\n".join([*sorted(values.values()), *(ast.unparse(tree.body[at]) for at in sorted(wanted))])


def gives(statement: ast.stmt) -> list[str]:
    """The names that a statement of the module gives a value."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [(one.asname or one.name).partition(".")[0] for one in statement.names]
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _makers(tree: ast.Module) -> dict[str, list[int]]:
    """Which statements of the module give each name a value."""
    found: dict[str, list[int]] = {}
    for at, statement in enumerate(tree.body):
        for given in gives(statement):
            found.setdefault(given, []).append(at)
    return found


def _uses(statement: ast.stmt) -> set[str]:
    """The names that a statement reads."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _spare(function: ast.stmt, module: ModuleType) -> None:
    """Take the decorator away that says what a function is for; the others are part of what it does."""
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list = [one for one in function.decorator_list if not _declares(one, module)]


def _declares(decorator: ast.expr, module: ModuleType) -> bool:
    path = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator).split(".")
    found: object = module
    for part in path:
        found = getattr(found, part, None)
    return found is on_demand


def _value(module: ModuleType, name: str) -> str | None:
    """A plain value as Python may spell it; None for any other, and for paths of this machine.

    A path below the project's folder says where a copy of the project stands, and not what it means.
    """
    try:
        told = _spelled(getattr(module, name, module))
    except (TypeError, RecursionError):
        return None
    here = str(Path(str(module.__file__)).parent.parent)
    return None if repr(here)[1:-1] in told else told


def _spelled(value: object) -> str:
    """Code that is equal for equal values of one type. Raises ``TypeError`` for what is not plain."""
    kind = type(value)
    if kind in _LITERAL:
        return repr(value)
    if kind in _NAMED:
        return f"{kind.__name__}({str(value)!r})"
    if isinstance(value, dict) and kind is dict:
        inside = [f"({_spelled(key)}, {_spelled(one)})" for key, one in value.items()]
    elif isinstance(value, list | tuple) and kind in (list, tuple):
        inside = [_spelled(one) for one in value]
    elif isinstance(value, set | frozenset) and kind in (set, frozenset):
        inside = sorted(_spelled(one) for one in value)
    else:
        raise TypeError
    return f"{kind.__name__}([{', '.join(inside)}])"


__all__ = ["gives", "source"]
