"""Answers: a prediction for everybody, or for those named, from a model that is judged, kept, and used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.errors import RefusedError, RequestError
from penstock.features.survey import Survey
from penstock.language import Query
from penstock.learning.ask import AS_USUAL, How, gather, judged, learn
from penstock.learning.fitting.trained import Trained
from penstock.learning.predictions import Predictions
from penstock.learning.reasons.why import with_changes, with_reasons
from penstock.learning.rows import examples
from penstock.learning.rows.dataset import joined, when
from penstock.learning.rows.spines import Given
from penstock.learning.rows.timeline import Timeline, now, timeline
from penstock.learning.shelf import Shelf, Shelved


@dataclass(frozen=True)
class Beside:
    """What is told beside predictions, for all of them (True) or so many of the first.

    ``explain``: the reasons. ``change``: which single change would change them, of the columns and tables ``act_on``
    names (none: of what events can move).
    """

    explain: bool | int = False
    change: bool | int = False
    act_on: tuple[str, ...] = ()


NOTHING = Beside()


def predict(
    query: Query,
    relational: Relational,
    *,
    at: int | None = None,
    entities: Sequence[object] | None = None,
    beside: Beside = NOTHING,
    how: How = AS_USUAL,
    cache: bool = True,
    progress: Progress = quiet,
) -> Predictions:
    """A prediction for every entity (or the ones named), from a model judged on the newest complete window.

    From an instant in the past (``at``, or AS OF) the model, too, knows nothing that happened later. Who cannot be
    predicted for is found out before anything is learnt.
    """
    asof = at if at is not None else query.as_of
    line = timeline(query, Survey(relational.rows, now() if asof is None else min(asof, now())))
    cutoff = line.end if asof is None else asof
    named = entities if entities is not None else query.ids
    chosen = None if named is None else identified(query, relational, named)
    shelf = Shelf.of(query, relational, how, line.end) if cache else Shelf(None)
    kept = shelf.load(query)
    ready = shelf.predictions(cutoff) if kept is not None and not (query.static and named) else None
    asked = _population(query, relational, cutoff, chosen) if ready is None else None
    shelved = kept or _answer(query, relational, line, how, shelf, progress)
    progress("predicting", 0.9)
    table = ready if asked is None else _score(query, relational, shelved.trained, asked)
    if named is None and asked is not None:
        shelf.keep_predictions(cutoff, table)
    table = _of(query, table, chosen, cutoff)
    notes = (*_missing(query, chosen, table, cutoff), *line.notes, *_gap(line, cutoff))
    answer = Predictions(query.canonical, query.task.value, table, shelved.evaluation, notes)
    return _told(answer, beside, shelved.trained, query, relational, progress)


def _told(
    answer: Predictions, beside: Beside, trained: Trained, query: Query, relational: Relational, progress: Progress
) -> Predictions:
    if beside.explain is not False:
        progress("finding reasons", 0.95)
        answer = with_reasons(answer, trained, query, relational, _most(beside.explain))
    if beside.change is not False:
        progress("finding what would change them", 0.97)
        answer = with_changes(answer, trained, query, relational, _most(beside.change), act_on=beside.act_on)
    return answer


def _most(rows: bool | int) -> int | None:
    return None if rows is True else rows


def _answer(
    query: Query, relational: Relational, line: Timeline, how: How, shelf: Shelf, progress: Progress
) -> Shelved:
    """Judge a model on the newest window, then learn once more with that window as the newest evidence."""
    gathered = gather(query, relational, Given(), how, progress, line)
    model = learn(query, gathered.train, gathered.validation, gathered.features, relational, how, progress)
    evaluation = judged(query, gathered, model, relational)
    progress("learning from the newest window too", 0.8)
    older = joined(gathered.train, gathered.validation)
    final = learn(query, older, gathered.test, gathered.features, relational, how, progress)
    shelved = Shelved(final, evaluation)
    shelf.save(shelved)
    return shelved


def identified(query: Query, relational: Relational, named: Sequence[object]) -> pa.Array:
    """The named entities, each once, in the key's own type; ``RequestError`` for one that is not there."""
    keys = relational.keys(query.entity, query.key)
    some = [*map(str, keys[:5].to_pylist()), *(["…"] if len(keys) > 5 else [])]
    if not named:
        raise RequestError("REQUEST_ENTITY", "no entity is named", candidates=some)
    try:
        asked = pa.array([str(n) for n in named], pa.string()).cast(keys.type)
    except pa.ArrowException as error:
        message = f"{query.entity}.{query.key} holds no such value: {error}"
        raise RequestError("REQUEST_ENTITY", message, candidates=some) from error
    unknown = asked.filter(pc.invert(pc.is_in(asked, keys))).to_pylist()
    if unknown:
        message = f"{query.entity} has no row whose {query.key} is {', '.join(map(repr, unknown[:5]))}"
        raise RequestError("REQUEST_ENTITY", message, name=str(unknown[0]), candidates=some)
    return asked.unique()


def _population(query: Query, relational: Relational, cutoff: int, chosen: pa.Array | None) -> pa.Table:
    """The rows to predict for; ``RefusedError`` where there are none."""
    if query.static:
        found = examples.blanks(query, relational, cutoff, chosen)
    else:
        found = examples.population(query, relational, cutoff).table
        found = found if chosen is None else examples.chosen(found, chosen)
    if not found.num_rows:
        raise _nobody(query, chosen, cutoff)
    return found


def _nobody(query: Query, chosen: pa.Array | None, cutoff: int) -> RefusedError:
    if query.static and chosen is None:
        return RefusedError(
            "DATA_NOBODY",
            f"there is nothing to fill in: no row of {query.entity} that is asked about lacks {query.target}",
            hint="Name entities (--entities, or FOR … IN) to predict theirs all the same, or evaluate the query.",
        )
    who = "no entity" if chosen is None else f"none of the {len(chosen)} named"
    passes = "" if query.where is None else " and passes WHERE"
    return RefusedError(
        "DATA_NOBODY",
        f"there is nobody to predict for: {who} exists{passes} at {when(cutoff)}",
        hint="Choose another cutoff (--at), loosen WHERE, or name others (--entities).",
    )


def _of(query: Query, table: pa.Table, chosen: pa.Array | None, cutoff: int) -> pa.Table:
    """The predictions of those named."""
    if chosen is None:
        return table
    found = examples.chosen(table, chosen)
    if not found.num_rows:
        raise _nobody(query, chosen, cutoff)
    return found


def _score(query: Query, relational: Relational, trained: Trained, asked: pa.Table) -> pa.Table:
    if query.steps is not None:
        asked = examples.unrolled(asked, query.steps)
    features = examples.features_named(query, trained.features, query.graph)
    rows = examples.samples(query, features, asked, relational)
    return trained.predict(rows, threads=relational.settings.threads, top_k=query.top_k)


def _missing(query: Query, chosen: pa.Array | None, ready: pa.Table, cutoff: int) -> list[str]:
    """A note on those named for whom there is no prediction."""
    if chosen is None:
        return []
    left_out = chosen.filter(pc.invert(pc.is_in(chosen, ready["entity"].combine_chunks())))
    if not len(left_out):
        return []
    shown = ", ".join(map(str, left_out[:5].to_pylist()))
    why = "do not pass WHERE or do not exist" if query.where is not None else "do not exist"
    return [f"{len(left_out)} of the {len(chosen)} entities named {why} at {when(cutoff)}: {shown}."]


def _gap(line: Timeline, cutoff: int) -> list[str]:
    """A note on predictions from an instant that the data does not reach."""
    if cutoff <= line.last:
        return []
    return [f"The data ends at {when(line.end)}: of the time from there to {when(cutoff)} nothing is known."]
