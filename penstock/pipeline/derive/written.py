"""A project's files that make tables, read and not yet understood: SQL texts and Python functions."""

from __future__ import annotations

import ast
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.errors import SchemaError, Span
from penstock.pipeline.derive.declare import Declared, Function, declared, parameters
from penstock.pipeline.derive.directives import Directives, read_directives
from penstock.pipeline.derive.kept import Shelf, outline_of
from penstock.pipeline.derive.statement import Mention, Outline, Parsed, hashed, outline


@dataclass(frozen=True)
class SqlFile:
    """A file with one SELECT; ``told`` is what was kept of it."""

    name: str
    file: str
    text: str
    directives: Directives
    outline: Outline
    told: Mapping[str, Any] = field(repr=False)
    parsed: Parsed | None = field(repr=False, compare=False)

    @property
    def body(self) -> str:
        """The SELECT without a last semicolon."""
        return self.text[: self.outline.end]

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """The tables that it names."""
        return self.outline.mentions


@dataclass(frozen=True)
class PythonFile:
    """A file with one function that is marked as a table's."""

    name: str
    file: str
    text: str
    function: Function
    declared: Declared
    mentions: tuple[Mention, ...]
    fingerprint: str


def sql_file(path: Path, shelf: Shelf) -> SqlFile:
    """Read a SQL file. Raises ``SchemaError``."""
    text = text_of(path)
    directives = read_directives(text, path.name)
    told = shelf.read(text)
    found, parsed = outline_of(told), None
    if found is None:
        found, parsed = outline(text, path.name)
    return SqlFile(path.stem, path.name, text, directives, found, told, parsed)


def text_of(path: Path) -> str:
    """A file's text. Raises ``SchemaError`` where it is no UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path.name}: byte {error.start + 1} is no UTF-8 text"
        raise SchemaError("DERIVE_TEXT", message, hint="Save the file as UTF-8.") from error


# ------------------------------------------------------------ Python


def python_file(path: Path) -> PythonFile:
    """Run a Python file of the project's and find the function that it marks. Raises ``SchemaError``."""
    text = text_of(path)
    tree = parsed_python(text, path)
    module = run_python(path, "penstock_tables")
    marked = {
        id(value): value
        for value in vars(module).values()
        if callable(value) and declared(value) is not None and getattr(value, "__module__", None) == module.__name__
    }
    if len(marked) != 1:
        message = f"{path.name}: {len(marked) or 'no'} functions are marked as a table's; a file makes one table"
        hint = f"Put @penstock.table() above the function that makes {path.stem}."
        raise SchemaError("DERIVE_FUNCTION", message, hint=hint)
    (function,) = marked.values()
    told = declared(function)
    assert told is not None
    mentions = tuple(Mention(name.casefold(), _argument(tree, name, text)) for name in parameters(function))
    return PythonFile(path.stem, path.name, text, function, told, mentions, _meaning(tree))


def parsed_python(text: str, path: Path) -> ast.Module:
    """A Python file's tree. Raises ``SchemaError`` at the place where it is none."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        start = _offset(text, line, column - 1)
        message = f"{path.name}, line {line}: {error.msg}"
        raise SchemaError("DERIVE_PYTHON", message, text=text, span=Span(start, start + 1)) from error


def _offset(text: str, line: int, column: int) -> int:
    return sum(len(one) for one in text.splitlines(keepends=True)[: line - 1]) + column


class _Fresh(SourceLoader):
    """Loads a file as it is now: no compiled copy is kept beside it or believed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002 - as its parent says it
        """The file."""
        return str(self._path)

    def get_data(self, path: str | bytes) -> bytes:  # noqa: ARG002 - as its parent says it
        """The file's text."""
        return self._path.read_bytes()


def run_python(path: Path, package: str) -> ModuleType:
    """The module of a project's own Python file, run as it is now. Raises ``SchemaError`` for what it raises."""
    spec = importlib.util.spec_from_loader(f"{package}.{path.stem}", _Fresh(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with guarded(path.name, str(path), "it cannot be run"):
        spec.loader.exec_module(module)
    return module


@contextmanager
def guarded(file: str, path: str, what: str) -> Iterator[None]:
    """Around a project's own code: what it raises, and its ``sys.exit()``, is an error of its file.

    An interrupt stays one. What it prints goes to standard error: standard output is for what a command tells. Raises
    ``SchemaError``.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise failure(file, path, error, what) from error


def failure(file: str, path: str, error: BaseException, what: str) -> SchemaError:
    """The error for what a project's own code raised, with the line of its file."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith((path, file))]
    where = f"{file}, line {lines[-1].lineno}" if lines else file
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    code = (lines[-1].line or "") if lines else ""
    message = f"{where}: {what}: {reason}"
    return SchemaError("DERIVE_PYTHON", message, text=code or None, span=Span(0, len(code)) if code else None)


def _argument(tree: ast.Module, name: str, text: str) -> Span:
    """Where a parameter stands in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg == name:
            start = _offset(text, node.lineno, node.col_offset)
            return Span(start, start + len(name))
    return Span(0, 1)


def _meaning(tree: ast.Module) -> str:
    """A hash of the code: spaces, comments and docstrings make no difference."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return hashed(ast.dump(tree))
