"""Ask a database what will happen.

>>> import datetime as dt
>>> import pyarrow as pa
>>> import penstock as ps
>>> day = dt.datetime(2024, 1, 1)
>>> users = pa.table({"user_id": [1, 2, 3]})
>>> visits = pa.table(
...     {
...         "visit_id": range(6),
...         "user_id": [1, 1, 2, 1, 3, 2],
...         "visited_at": [day + dt.timedelta(days=n) for n in (0, 3, 4, 9, 12, 20)],
...     }
... )
>>> db = ps.connect({"users": users, "visits": visits})
>>> question = db.query("PREDICT COUNT(visits.*, 0, 7, days) > 0 FOR EACH users.user_id")
>>> question.task.value
'binary'
>>> db.labels(question, at=["2024-01-05"])["target"].to_pylist()
[True, False, False]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock import errors, settings

if TYPE_CHECKING:
    from penstock.database import Database, connect
    from penstock.learning.judging.compare import compare
    from penstock.learning.judging.evaluation import Evaluation
    from penstock.pipeline.derive import table
    from penstock.project import Project
    from penstock.project import open_project as open  # noqa: A004  # called as ps.open

__version__ = settings.VERSION
__all__ = ["Database", "Evaluation", "Project", "__version__", "compare", "connect", "errors", "open", "table"]


def __getattr__(name: str) -> Any:
    """Load the front door when it is first used, so that ``penstock --help`` answers at once."""
    if name in ("Database", "connect"):
        from penstock import database

        return getattr(database, name)
    if name in ("Evaluation", "compare"):
        from penstock.learning.judging import compare

        return getattr(compare, name)
    if name in ("Project", "open"):
        from penstock import project

        return project.Project if name == "Project" else project.open_project
    if name == "table":
        from penstock.pipeline.derive import table

        return table
    raise AttributeError(f"module 'penstock' has no attribute {name!r}")
