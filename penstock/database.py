"""The front door: a database, questions about it, and answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import numpy as np
import pyarrow as pa

from penstock import inference, lake, language
from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.errors import RequestError, SchemaError
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.offline import offline
from penstock.features.survey import Survey
from penstock.features.synthesis import synthesise
from penstock.language import Query
from penstock.language.example import example
from penstock.learning import answers, ask
from penstock.learning.ask import Leaks, Regime
from penstock.learning.fitting.models import Effort, Loss, Options
from penstock.learning.judging.rolling import rolling
from penstock.learning.rows import examples
from penstock.learning.rows.spines import about, given, read_spine
from penstock.learning.rows.timeline import now, timeline
from penstock.plan import Rows
from penstock.schema import Graph
from penstock.settings import Settings
from penstock.window import instant

if TYPE_CHECKING:
    import datetime as dt

    from penstock.inference import Facts
    from penstock.learning.judging.evaluate import Evaluation
    from penstock.learning.predictions import Predictions

CHOICES = {name: get_args(choice) for name, choice in
           (("effort", Effort), ("loss", Loss), ("leaks", Leaks), ("regime", Regime))}  # fmt: skip

Time: TypeAlias = "str | dt.date | dt.datetime | np.datetime64 | int"


def connect(source: object, *, infer: bool = True, settings: Settings | None = None) -> Database:
    """Open a database: a folder of CSV, Parquet or JSON-lines files, one such file, a ``.duckdb`` or ``.sqlite`` file,
    a ``postgresql://`` or ``mysql://`` URL, or a dict of Arrow, pandas or Polars tables.

    The schema is read; keys, links and clocks that are not declared are inferred from names and values, unless
    ``infer`` is False. Raises ``SourceError`` when it cannot be opened.
    """
    opened = lake.open_source(source)
    facts = lake.describe(opened)
    graph = inference.infer(facts) if infer else inference.declared(facts)
    return Database(opened, facts, graph, settings or Settings.from_environment())


@dataclass
class Database:
    """A source, the graph of its tables, and everything that can be asked of them.

    ``set``, ``link`` and ``unlink`` change what is known of the graph; nothing here writes to the source. ``queries``
    are questions that can be asked by name, as those of a project; ``data`` says which versions of the tables these
    are, and is noted with whatever is learnt from them.
    """

    source: lake.Source = field(repr=False)
    facts: Facts = field(repr=False)
    graph: Graph
    settings: Settings
    queries: Mapping[str, str] = field(default_factory=dict, repr=False)
    data: str = field(default="", repr=False)

    # ------------------------------------------------------------ the graph

    def set(self, name: str, **roles: Any) -> Database:
        """Say what a table or column is: ``set("orders", key=…, time=…, known=…, deleted=…, ends=…)`` or
        ``set("orders.status", kind="categorical")``. Returns the database.

        Raises ``SchemaError`` for names that do not exist or cannot be what is asked.
        """
        fitting = ("kind",) if "kind" in roles else ("key", "time", "known", "deleted", "ends")
        for role in roles:
            if role not in fitting:
                message = f"{name} has no role {role!r} to set here"
                raise SchemaError("SCHEMA_UNKNOWN_ROLE", message, name=role, candidates=fitting)
        if "kind" in roles:
            graph = inference.set_column(self.graph, name, facts=self.facts, **roles)
        else:
            graph = inference.set_table(self.graph, name, facts=self.facts, **roles)
        return self._with(graph)

    def link(self, column: str | Iterable[str], to: str) -> Database:
        """Add a link from ``table.column`` to the key of table ``to``. Returns the database."""
        return self._with(inference.link(self.graph, column, to, facts=self.facts))

    def unlink(self, column: str | Iterable[str]) -> Database:
        """Take away the link that leaves from ``table.column``. Returns the database."""
        return self._with(inference.unlink(self.graph, column))

    def _with(self, graph: Graph) -> Database:
        self.graph = graph
        for name in ("rows", "relational"):
            self.__dict__.pop(name, None)
        return self

    @cached_property
    def rows(self) -> Rows:
        """The tables' rows, read when first needed."""
        return lake.SourceRows(self.source, self.graph, self.facts)

    @cached_property
    def relational(self) -> Relational:
        """The engine's view of the rows."""
        return Relational(self.rows, self.settings)

    # ------------------------------------------------------------ questions

    def query(self, text: str, *, dialect: str | None = None, named: Mapping[str, str] | None = None) -> Query:
        """The question in a line of PQL, or of that name, checked against the graph.

        Raises ``QueryError`` with code, place, what exists and what to try, and ``RequestError`` for one word that
        names none of the questions. ``dialect="kumo"`` takes no extension.
        """
        if text not in self.queries and _is_name(text):
            raise _no_query(text, self.queries, self.graph)
        return language.query(self.queries.get(text, text), self.graph, dialect=dialect, named=named or {})

    def _asked(self, query: Query | str) -> Query:
        return self.query(query) if isinstance(query, str) else query

    def labels(
        self, query: Query | str, at: Time | Sequence[Time] | None = None, *, progress: Progress = quiet
    ) -> pa.Table:
        """What the target was: ``entity``, ``cutoff``, ``target`` (and ``step``) for all that counted at each cutoff.

        ``at`` None takes every cutoff whose window is complete, newest first, a horizon apart.
        """
        asked = self._asked(query)
        if at is None:
            cutoffs = timeline(asked, Survey(self.rows, now())).cutoffs
        else:
            cutoffs = np.array([instant(t) for t in _several(at)], np.int64)
        return examples.labels(asked, self.relational, cutoffs, progress).table

    def synthesise(self, query: Query | str, *, before: Time | None = None) -> FeatureSet:
        """The features made for a query from rows up to an instant (default: all there are)."""
        return synthesise(self._asked(query), Survey(self.rows, now() if before is None else instant(before)))

    def features(
        self,
        features: Query | FeatureSet | str | Sequence[str],
        spine: object,
        *,
        entity: str | None = None,
        progress: Progress = quiet,
    ) -> pa.Table:
        """The spine's rows, in order, with one column a feature.

        ``features`` is a query (whose features are synthesised), a feature set, or expressions such as
        ``COUNT(orders.*, -30, 0, days)`` about the rows of the table ``entity``. The spine (any table, or a file) has
        the columns ``entity`` and ``cutoff``; its other columns stay.
        """
        rows = read_spine(spine)
        chosen = self._features(features, entity, rows)
        asked = about(rows, self.graph.table(chosen.table))
        return _beside(rows, offline(chosen, asked, self.relational, progress))

    def _features(
        self, asked: Query | FeatureSet | str | Sequence[str], entity: str | None, rows: pa.Table
    ) -> FeatureSet:
        if isinstance(asked, FeatureSet):
            return asked
        if isinstance(asked, str) and (asked in self.queries or asked.lstrip()[:7].upper() == "PREDICT"):
            asked = self.query(asked)
        if isinstance(asked, Query):
            return synthesise(asked, Survey(self.rows, _first(rows)))
        texts = [asked] if isinstance(asked, str) else list(asked)
        if entity is None:
            hint = "Pass entity='customers', or a query instead of expressions."
            candidates = [t.name for t in self.graph if len(t.keys) == 1]
            raise RequestError("REQUEST_NO_ENTITY", "whose features are these?", candidates=candidates, hint=hint)
        table = self.graph.table(entity)
        made = [Feature(language.feature(text, self.graph, entity)) for text in texts]
        return FeatureSet.of(entity, table.keys[0], made)

    # ------------------------------------------------------------ answers

    def evaluate(
        self,
        query: Query | str,
        train: object = None,
        validation: object = None,
        test: object = None,
        *,
        windows: int = 1,
        regime: Regime = "seed-time",
        leaks: Leaks = "drop",
        progress: Progress = quiet,
        **learning: Any,
    ) -> Evaluation:
        """How good predictions have been: trained on older cutoffs, judged on the newest complete window.

        With spines (columns ``entity``, ``cutoff`` and, if not to be computed, ``target``; tables or files), those
        rows are used instead, and predictions come back for exactly the test rows, in their order; what is not given
        is learnt from what was known before. ``windows`` judges so many of the newest complete windows, each with what
        was known before it. ``regime="frozen"`` lets test rows see nothing after the first test
        cutoff. ``leaks="keep"`` keeps columns that plainly know the future. What else is named (``effort``, ``seed``,
        ``loss``, ``model``, ``refit``, …) is how to learn: see `penstock.learning.fitting.models.Options`.
        """
        asked = self._asked(query)
        spines = given(asked, train, validation, test)
        how = ask.How(options({"leaks": leaks, "regime": regime}, learning), leaks, regime)
        if windows != 1:
            if spines.any:
                hint = "Leave windows out, or the spines."
                raise RequestError("REQUEST_WINDOWS", "given spines are judged as they are, in one window", hint=hint)
            return self._told(rolling(asked, self.relational, windows, how, progress))
        return self._told(ask.evaluate(asked, self.relational, spines, how, progress))

    def _told(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation with a note of the data that it rests on."""
        return replace(evaluation, notes=(*evaluation.notes, f"Data: {self.data}.")) if self.data else evaluation

    def predict(
        self,
        query: Query | str,
        at: Time | None = None,
        entities: Iterable[object] | None = None,
        explain: bool | int = False,
        *,
        change: bool | int = False,
        act_on: Sequence[str] = (),
        leaks: Leaks = "drop",
        cache: bool = True,
        progress: Progress = quiet,
        **learning: Any,
    ) -> Predictions:
        """A prediction for every entity (or for ``entities``) from the newest instant in the data (or ``at``).

        ``explain`` adds reasons (a number: for as many of the first rows only), ``change`` what single change would
        change a prediction, of the columns or tables that ``act_on`` names (none: what events can move). Comes with
        the backtest that says how good such predictions have been. The trained answer is kept, so that asking again,
        or about other entities, is quick; ``cache=False`` trains anew. ``leaks`` and how to learn are as in `evaluate`.
        """
        asked = self._asked(query)
        wanted = None if entities is None else list(entities)
        cutoff = None if at is None else instant(at)
        answer = answers.predict(
            asked,
            self.relational,
            at=cutoff,
            entities=wanted,
            beside=answers.Beside(explain, change, tuple(act_on)),
            how=ask.How(options({"leaks": leaks}, learning), leaks),
            cache=cache,
            progress=progress,
        )
        return replace(answer, evaluation=self._told(answer.evaluation))


def options(asked: Mapping[str, str], learning: Mapping[str, Any]) -> Options:
    """How to learn, from what was named. Raises ``RequestError`` for a name that is none, or a value that is no choice.

    >>> options({"leaks": "keep"}, {"effort": "normal", "seed": 7}).effort
    'normal'
    """
    known = [field.name for field in fields(Options) if field.name not in ("threads", "horizon")]
    for name, value in {**asked, **learning}.items():
        if name not in known and name not in asked:
            message = f"there is no way of learning called {name!r}"
            raise RequestError("REQUEST_LEARNING", message, name=name, candidates=known)
        if name in CHOICES and value not in CHOICES[name]:
            message = f"{name} cannot be {value!r}"
            raise RequestError("REQUEST_LEARNING", message, name=str(value), candidates=CHOICES[name])
    return Options(**learning)


def _is_name(text: str) -> bool:
    """Whether a text is one word that begins no query."""
    return len(text.split()) == 1 and text.strip().upper() not in ("PREDICT", "EXPLAIN", "EVALUATE")


def _no_query(name: str, queries: Mapping[str, str], graph: Graph) -> RequestError:
    """What a word is told that names none of the questions: those that there are, and how one is written."""
    hint = f'Ask in full: "{example(graph) or "PREDICT … FOR EACH …"}"'
    if not queries:
        hint += f'\n  A project keeps a question by its name, in penstock.toml: [queries] {name} = "…"'
    return RequestError("QUERY_UNKNOWN_NAME", f"there is no query {name!r}", name=name, candidates=queries, hint=hint)


def _several(at: Any) -> list[Any]:
    return list(at) if isinstance(at, Iterable) and not isinstance(at, str) else [at]


def _first(spine: pa.Table) -> int:
    """The earliest cutoff of a spine: what later rows say must not choose its features."""
    cutoffs = spine["cutoff"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    return int(cutoffs.min()) if len(cutoffs) else now()


def _beside(rows: pa.Table, values: pa.Table) -> pa.Table:
    taken = sorted(set(rows.column_names) & set(values.column_names))
    if taken:
        hint = "Rename them, or ask for other features."
        raise RequestError(
            "SPINE_COLUMN", f"the spine has columns named as features are: {', '.join(taken)}", hint=hint
        )
    for name in values.column_names:
        rows = rows.append_column(name, values[name])
    return rows


__all__ = ["Database", "connect"]
