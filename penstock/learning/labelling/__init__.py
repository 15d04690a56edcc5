"""Labels as events: collected from people, files, tools and functions, weighed against one another, asked about in PQL.

A label says what holds of one row of a table (the entity), at what time (`happened`), since when that is known
(`known`), who said it (the labeller, of a source) and how surely. Label sets are versioned tables of the lake.
"""

from __future__ import annotations

from penstock.learning.labelling.agreement import Agreement, agreement
from penstock.learning.labelling.attach import LabelledSource, spine, with_labels
from penstock.learning.labelling.door import from_csv, from_table
from penstock.learning.labelling.functions import PqlFunction, SqlFunction, apply_pql, apply_sql
from penstock.learning.labelling.label import Labels, ValueKind
from penstock.learning.labelling.queue import queue
from penstock.learning.labelling.store import Added, LabelSet, LabelStore
from penstock.learning.labelling.studio import Task, from_label_studio
from penstock.learning.labelling.tasks import Interface, interface, to_label_studio, write_tasks
from penstock.learning.labelling.vote import Verdict, accuracies, vote
from penstock.learning.labelling.votes import Votes, votes_of

__all__ = [
    "Added", "Agreement", "Interface", "LabelSet", "LabelStore", "LabelledSource", "Labels", "PqlFunction",
    "SqlFunction", "Task", "ValueKind", "Verdict", "Votes", "accuracies", "agreement", "apply_pql", "apply_sql",
    "from_csv", "from_label_studio", "from_table", "interface", "queue", "spine", "to_label_studio", "vote", "votes_of",
    "with_labels", "write_tasks",
]  # fmt: skip
