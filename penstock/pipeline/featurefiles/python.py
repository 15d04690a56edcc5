"""Features in a Python file: the declared values that its module holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from penstock.errors import PenstockError, RequestError, SchemaError
from penstock.features.views.declared import OnDemandView
from penstock.pipeline.derive.written import parsed_python, run_python
from penstock.pipeline.featurefiles.code import gives, source
from penstock.pipeline.featurefiles.sections import Declared


def python_declared(path: Path, text: str, file: str) -> Iterator[Declared]:
    """What a file declares: its module's own values, and those in lists and tuples of it. Running it is how.

    Raises ``RequestError`` (``FEATURE_PYTHON``) for what is no Python, and for what it raises.
    """
    try:
        tree = parsed_python(text, path)
        module = run_python(path, "penstock_features")
    except SchemaError as error:
        raise _told(error, path.name, file) from error
    lines = _lines(tree)
    for variable, value in _values(module):
        place = f"{file}, line {lines[variable]}" if variable in lines else file
        placed = replace(value, about=replace(value.about, place=place))
        if isinstance(placed, OnDemandView) and placed.function is not None:
            placed = replace(placed, source=source(tree, module, getattr(placed.function, "__qualname__", "")))
            _must_have_source(placed)
        yield placed


def _told(error: SchemaError, name: str, file: str) -> RequestError:
    """What is wrong with a file, under its place in the project; what a declaration refuses, in its own words."""
    message, cause = error.message.replace(name, file, 1), error.__cause__
    if isinstance(cause, PenstockError):
        message = f"{message.partition(': ')[0]}: {cause.message}"
        return RequestError(
            cause.code, message, text=error.text, span=error.span, name=cause.name, candidates=cause.candidates,
            hint=cause.hint,
        )  # fmt: skip
    return RequestError("FEATURE_PYTHON", message, text=error.text, span=error.span, hint=error.hint)


def _values(module: ModuleType) -> Iterator[tuple[str, Declared]]:
    """Each declared value once, with the variable that holds it."""
    seen: set[int] = set()
    for variable, held in list(vars(module).items()):
        for value in held if isinstance(held, list | tuple) else [held]:
            if isinstance(value, Declared) and id(value) not in seen:
                seen.add(id(value))
                yield variable, value


def _must_have_source(view: OnDemandView) -> None:
    if not view.source:
        message = view.about.said(f"{view.name}: its function is not defined in the file, and its version rests on it")
        hint = "Define the function in the file itself, with def: no lambda, and not inside another function."
        raise RequestError("FEATURE_PYTHON", message, hint=hint)


def _lines(tree: ast.Module) -> dict[str, int]:
    """The line in which each name of the module is given a value."""
    return {name: statement.lineno for statement in tree.body for name in gives(statement)}
