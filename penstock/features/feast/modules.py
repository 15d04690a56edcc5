"""A repository's Python files as the objects that importing them would define: parsed, in order, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from penstock.features.feast.evaluate import DEFINED, PACKAGE, STARRED, Scope, is_definition
from penstock.features.feast.unsettled import unsettled
from penstock.features.feast.values import Function, LeftOut, Made, Named, Unread, UnreadableError, Where

_SKIPPED = {"__pycache__", "venv", "node_modules", "site-packages"}
_DECORATORS = {
    "on_demand_feature_view": "OnDemandFeatureView",
    "stream_feature_view": "StreamFeatureView",
    "batch_feature_view": "BatchFeatureView",
}


@dataclass
class Modules:
    """The modules of a repository by file; each is read when first asked for."""

    root: Path
    files: tuple[str, ...]
    scopes: dict[str, Scope] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def read(self, file: str) -> Scope:
        """The names of a module; of one that is being read, those so far."""
        if file in self.scopes:
            return self.scopes[file]
        scope = self.scopes[file] = Scope(file)
        try:
            text = (self.root / file).read_text(encoding="utf-8")
            tree = ast.parse(text, file)
        except SyntaxError as error:
            self.left_out.append(
                LeftOut("all of it", Where(file, error.lineno or 1), f"this is no Python: {error.msg}")
            )
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            self.left_out.append(LeftOut("all of it", Where(file, 1), f"it cannot be read: {error}"))
        else:
            for statement in tree.body:
                self._take(statement, scope, text)
        return scope

    # ------------------------------------------------------------ statements

    def _take(self, statement: ast.stmt, scope: Scope, text: str) -> None:
        try:
            self._bind(statement, scope, text)
        except RecursionError:
            self.left_out.append(LeftOut("this", Where(scope.file, statement.lineno), "it is nested too deeply"))
        self._unsettle(statement, scope)
        self.left_out += _hidden(statement, scope)

    def _unsettle(self, statement: ast.stmt, scope: Scope) -> None:
        """Forget what a statement may have changed; a definition that is forgotten is left out."""
        found = unsettled(statement)
        changed = [scope.names[name] for name in found.changed if isinstance(scope.names.get(name), list | dict | Made)]
        for name, value in list(scope.names.items()):
            if name in found.given or any(value is one for one in changed):
                scope.names[name] = Unread("it is changed as the code runs")
                if isinstance(value, Made) and value.kind in DEFINED:
                    told = LeftOut(
                        value.name or value.kind, value.where, f"line {statement.lineno} changes it, when that is run"
                    )
                    self.left_out.append(told)

    def _bind(self, statement: ast.stmt, scope: Scope, text: str) -> None:
        match statement:
            case ast.Import():
                self._import(statement, scope)
            case ast.ImportFrom():
                self._import_from(statement, scope)
            case ast.Assign(targets=targets, value=value):
                found = scope.attempt(value)
                for target in targets:
                    _assign(scope, target, found)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                _assign(scope, target, scope.attempt(value))
            case ast.FunctionDef():
                scope.names[statement.name] = self._function(statement, scope, text)
            case ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                scope.names[name] = Unread("it is defined by code of its own")
            case ast.AugAssign(target=ast.Name(id=name)):
                scope.names[name] = Unread("it is changed as the code runs")

    def _function(self, node: ast.FunctionDef, scope: Scope, text: str) -> object:
        """A function; under a decorator of Feast the view that it makes."""
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call):
                continue
            called = scope.attempt(decorator.func)
            if is_definition(called) and isinstance(called, Named) and called.last in _DECORATORS:
                try:
                    made = scope.made(decorator, _DECORATORS[called.last])
                except UnreadableError as unreadable:
                    return Unread(str(unreadable))
                return Made(made.kind, made.said, Where(scope.file, node.lineno), Function(node, text))
        return Function(node, text)

    # ------------------------------------------------------------ imports

    def _import(self, statement: ast.Import, scope: Scope) -> None:
        for one in statement.names:
            path = one.name if one.asname else one.name.partition(".")[0]
            file = None if path == PACKAGE else self._file(path, scope.file, 0)
            scope.names[one.asname or path] = Named(path) if file is None else self.read(file)

    def _import_from(self, statement: ast.ImportFrom, scope: Scope) -> None:
        module = statement.module or ""
        file = None if module.partition(".")[0] == PACKAGE else self._file(module, scope.file, statement.level)
        for one in statement.names:
            if one.name == "*":
                found = self.read(file).names if file is not None else _starred(module, scope)
                scope.names |= {name: value for name, value in found.items() if not name.startswith("_")}
            else:
                scope.names[one.asname or one.name] = self._imported(module, one.name, file, scope, statement.level)

    def _imported(self, module: str, name: str, file: str | None, scope: Scope, level: int) -> object:
        if file is not None:
            names = self.read(file).names
            if name in names:
                return names[name]
        below = self._file(f"{module}.{name}".strip("."), scope.file, level)
        if below is not None and module.partition(".")[0] != PACKAGE:
            return self.read(below)
        return Named(f"{module}.{name}") if file is None else Unread(f"{file} does not plainly define {name}")

    def _file(self, module: str, beside: str, level: int) -> str | None:
        """The file of the repository that a module is; None for one of a package."""
        parts = [part for part in module.split(".") if part]
        here = PurePosixPath(beside).parent
        starts = [PurePosixPath(), here] if level == 0 else [PurePosixPath(*here.parts[: len(here.parts) - level + 1])]
        tails = [parts[skipped:] for skipped in range(len(parts) if level == 0 else 1)] or [[]]
        for tail in tails:
            for start in starts:
                for path in (start.joinpath(*tail[:-1], f"{tail[-1]}.py") if tail else start / "__init__.py",
                             start.joinpath(*tail, "__init__.py")):  # fmt: skip
                    if str(path) in self.files:
                        return str(path)
        return None


def _starred(module: str, scope: Scope) -> dict[str, object]:
    """What a star brings of a package: of Feast all that it may have, and nothing in the place of what is there."""
    if module.partition(".")[0] != PACKAGE:
        return {}
    return {name: Named(f"{module}.{name}") for name in STARRED if name not in scope.names}


def _assign(scope: Scope, target: ast.expr, value: object) -> None:
    if isinstance(target, ast.Name):
        scope.names[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        values = value if isinstance(value, list) and len(value) == len(target.elts) else None
        for at, one in enumerate(target.elts):
            _assign(scope, one, values[at] if values else Unread("it is worked out as the code runs"))


# ---------------------------------------------------------------- what only running would define


def _hidden(statement: ast.stmt, scope: Scope) -> Iterator[LeftOut]:
    """The definitions in a statement that were not read, and why."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and id(node) not in scope.seen and is_definition(scope.attempt(node.func)):
            name = next((one.value for one in node.keywords if one.arg == "name"), None)
            told = name.value if isinstance(name, ast.Constant) else ast.unparse(node.func)
            yield LeftOut(str(told), Where(scope.file, node.lineno), _why(statement, scope))


def _why(statement: ast.stmt, scope: Scope) -> str:
    match statement:
        case ast.For() | ast.While():
            return "it is made in a loop"
        case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
            return f"it is made in {statement.name}, when that is run"
        case ast.If() | ast.Try() | ast.With() | ast.Match():
            return "it is made under a condition"
    found = scope.attempt(statement.value) if isinstance(statement, ast.Assign | ast.Expr) else None
    return found.reason if isinstance(found, Unread) else "no name of the module holds it"


def files_of(root: Path) -> tuple[str, ...]:
    """The Python files of a repository that Feast would import, told from its folder on, in order."""
    ignored = root / ".feastignore"
    patterns = [line.strip() for line in ignored.read_text("utf-8").splitlines()] if ignored.is_file() else []
    patterns = [line.rstrip("/") for line in patterns if line and not line.startswith("#")]
    found = (path.relative_to(root) for path in root.rglob("*.py") if path.is_file())
    return tuple(sorted(path.as_posix() for path in found if not _is_skipped(path, patterns)))


def _is_skipped(path: Path, patterns: list[str]) -> bool:
    hidden = any(part.startswith(".") or part in _SKIPPED for part in path.parts)
    inside = [path, *path.parents]
    return hidden or any(fnmatch(one.as_posix(), pattern) for pattern in patterns for one in inside)
