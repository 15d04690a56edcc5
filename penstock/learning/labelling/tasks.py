"""Tasks for Label Studio: what is to be labelled, with what is known of it, guesses to start from, and old labels."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from penstock.errors import RequestError, SourceError
from penstock.learning.labelling.label import GOLD, INSTANT, ValueKind
from penstock.learning.labelling.store import LabelSet
from penstock.learning.labelling.studio import BETWEEN, Task

TO = "shown"
"""The name of the object that the label is about, in the labelling interface."""


@dataclass(frozen=True)
class Interface:
    """How a label set is asked for in Label Studio: the control's name, what its values are, and the classes."""

    control: str
    kind: ValueKind
    classes: tuple[str, ...] = ()

    def result(self, value: object) -> dict[str, object]:
        """One answer, as annotations and predictions hold it."""
        if self.kind is ValueKind.NUMBER:
            held: dict[str, object] = {"number": value}
            return {"from_name": self.control, "to_name": TO, "type": "number", "value": held}
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        held = {"choices": text.split(BETWEEN)}
        return {"from_name": self.control, "to_name": TO, "type": "choices", "value": held}

    def config(self, fields: Sequence[str] = ()) -> str:
        """The labelling interface as Label Studio's XML: the fields shown, and the question below them."""
        shown = "".join(f"\n  <Text name={quoteattr(f'field_{n}')} value={quoteattr('$' + name)}/>"
                        for n, name in enumerate(fields))  # fmt: skip
        head = f'<View>\n  <Header name="{TO}" value={quoteattr(self.control)}/>{shown}\n'
        named = f'name={quoteattr(self.control)} toName="{TO}"'
        if self.kind is ValueKind.NUMBER:
            return f"{head}  <Number {named}/>\n</View>\n"
        classes = self.classes or (("true", "false") if self.kind is ValueKind.TRUTH else ())
        choices = "".join(f"\n    <Choice value={quoteattr(one)}/>" for one in classes)
        return f'{head}  <Choices {named} choice="single">{choices}\n  </Choices>\n</View>\n'


def interface(labels: LabelSet) -> Interface:
    """How a label set is asked for: categories are those that were given so far."""
    held = labels.at()["value"].unique().to_pylist() if labels.kind is ValueKind.CATEGORY else []
    return Interface(labels.name, labels.kind, tuple(sorted(held)))


def to_label_studio(
    asked: pa.Table,
    interface: Interface,
    *,
    rows: pa.Table | None = None,
    key: str | None = None,
    labels: pa.Table | None = None,
    task: Task | None = None,
) -> list[dict[str, object]]:
    """Tasks to import into Label Studio: one for each row of ``asked`` (``entity``, and ``cutoff`` if there is one).

    Each holds the other columns of ``asked`` and the entity's row of ``rows`` (whose key is the column ``key``). A
    column ``probability`` (of a truth), ``prediction`` or ``class`` of ``asked`` becomes a prediction to start from,
    and ``labels`` (as `LabelSet.at` gives them) become annotations: reading them back gives the same labels. Raises
    ``RequestError`` where columns are missing.
    """
    how = task or Task()
    if "entity" not in asked.column_names:
        raise RequestError("LABELS_COLUMN", "what is asked about has no column 'entity'", name="entity",
                           candidates=asked.column_names)  # fmt: skip
    known = _rows_by_key(rows, key)
    said = _by_item(labels)
    made = []
    for row in asked.to_pylist():
        data = {name: plain(value) for name, value in {**known.get(str(row["entity"]), {}), **row}.items()}
        data[how.entity] = data.pop("entity")
        moment = row.get("cutoff")
        if "cutoff" in data and how.happened and how.happened != "cutoff":
            data[how.happened] = data.pop("cutoff")
        one: dict[str, object] = {"data": data, "predictions": _guesses(row, interface)}
        mine = said.get((str(row["entity"]), None if moment is None else _micros(moment)), [])
        one["annotations"] = [_annotation(label, interface) for label in mine]
        made.append(one)
    return made


def write_tasks(tasks: Sequence[Mapping[str, object]], path: str | Path) -> Path:
    """Write tasks to a JSON file that Label Studio imports; the file appears whole or not at all."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.draft")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(list(tasks), indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        return draft.replace(target)
    except OSError as error:
        raise SourceError("CANNOT_WRITE", f"cannot write {target.name}: {error.strerror}") from error


def _rows_by_key(rows: pa.Table | None, key: str | None) -> dict[str, dict[str, Any]]:
    if rows is None:
        return {}
    if key not in rows.column_names:
        message = f"the entities' rows have no column {key!r} to find them by"
        raise RequestError("LABELS_COLUMN", message, name=key, candidates=rows.column_names)
    return {str(row[key]): row for row in rows.to_pylist()}


def _by_item(labels: pa.Table | None) -> dict[tuple[str, int | None], list[dict[str, Any]]]:
    found: dict[tuple[str, int | None], list[dict[str, Any]]] = {}
    for label in [] if labels is None else labels.to_pylist():
        moment = None if label["happened"] is None else _micros(label["happened"])
        found.setdefault((label["entity"], moment), []).append(label)
    return found


def _annotation(label: Mapping[str, Any], interface: Interface) -> dict[str, object]:
    known = plain(label["known"])
    return {
        "completed_by": {"email": label["labeller"]},
        "result": [interface.result(label["value"])],
        "was_cancelled": False,
        "ground_truth": label["source"] == GOLD,
        "created_at": known,
        "updated_at": known,
    }


def _guesses(row: Mapping[str, Any], interface: Interface) -> list[dict[str, object]]:
    """What a model expects, as a prediction that annotators start from."""
    guess, score = row.get("prediction", row.get("class")), row.get("probability")
    if interface.kind is ValueKind.TRUTH and isinstance(score, float):
        guess, score = score > 0.5, max(score, 1 - score)
    if guess is None:
        return []
    made: dict[str, object] = {"model_version": "penstock", "result": [interface.result(plain(guess))]}
    return [made if score is None else {**made, "score": score}]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: instants as ISO 8601 in UTC, what is no number as None.

    >>> plain(dt.datetime(2024, 1, 31, 12)), plain(float("nan")), plain(b"ab")
    ('2024-01-31T12:00:00.000000Z', None, '6162')
    """
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dt.date | dt.time | dt.timedelta | decimal.Decimal):
        return str(value)
    return value


def _micros(moment: dt.datetime) -> int:
    return int(pa.scalar(moment, INSTANT).cast(pa.int64()).as_py())


__all__ = ["Interface", "interface", "plain", "to_label_studio", "write_tasks"]
