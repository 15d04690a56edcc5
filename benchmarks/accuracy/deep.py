"""Deep Feature Synthesis, run in featuretools' own environment: ``python deep.py job.json``.

The job says where the tables lie (Parquet), their keys, clocks and links, the spine (``row``, ``entity``, ``cutoff``)
and the primitives and windows; the answer is a Parquet table of ``row`` and features. Nothing of Penstock is imported
here.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

KINDS = {"numerical": "Double", "categorical": "Categorical", "bool": "BooleanNullable", "timestamp": "Datetime"}


def main(path: str) -> None:
    """Compute a job's features and write them where it says."""
    import featuretools
    import pandas as pd

    warnings.simplefilter("ignore")
    job: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    entities = entity_set(job)
    spine = pd.read_parquet(job["spine"])
    cutoffs = pd.DataFrame({job["key"]: spine["entity"].astype(str), "time": spine["cutoff"], "row": spine["row"]})
    whole = cutoffs[["row"]].copy()
    for window in job["windows"]:
        made, _ = featuretools.dfs(
            entityset=entities,
            target_dataframe_name=job["entity"],
            cutoff_time=cutoffs,
            training_window=None if window is None else featuretools.Timedelta(window, "d"),
            agg_primitives=job["aggregates"],
            trans_primitives=job["transforms"],
            max_depth=2,
            n_jobs=1,
        )
        plain = made.reset_index(drop=True)
        plain.columns = [name if name == "row" else f"{name} {window or ''}".strip() for name in plain.columns]
        whole = whole.merge(plain, on="row")
        print(f"{job['entity']}, window {window}: {plain.shape[1]} features", file=sys.stderr, flush=True)
    flat(whole).to_parquet(job["answer"], index=False)


def entity_set(job: dict[str, Any]) -> Any:
    """The tables with their keys, clocks and links."""
    import featuretools
    import pandas as pd

    found = featuretools.EntitySet(id="database")
    for name, table in job["tables"].items():
        frame = pd.read_parquet(table["path"])
        for column in table["names"]:
            frame[column] = frame[column].astype(object)
        types = {c: KINDS[kind] for c, kind in table["kinds"].items()}
        types |= dict.fromkeys(table["names"], "Unknown")
        own = table["key"] is not None
        found.add_dataframe(
            dataframe_name=name,
            dataframe=frame,
            index=table["key"] if own else f"{name} number",
            make_index=not own,
            time_index=table["time"],
            logical_types=types,
        )
    for child, column, parent, key in job["links"]:
        found.add_relationship(parent, key, child, column)
    return found


def flat(frame: Any) -> Any:
    """Numbers as they are, everything else as text."""
    import pandas as pd

    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype) or frame[name].dtype == object:
            frame[name] = frame[name].astype("string")
        elif name != "row":
            frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    return frame


if __name__ == "__main__":
    main(sys.argv[1])
