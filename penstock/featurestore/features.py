"""The features of a project: what is declared, and its values for training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from penstock.engine.execute import Progress, quiet
from penstock.features.datasets import Datasets, How
from penstock.features.historical import historical
from penstock.features.historical.spine import to_table
from penstock.features.views.bound import Bound
from penstock.features.views.chosen import resolve, view_of
from penstock.features.views.declared import Definitions
from penstock.featurestore.earlier import earlier
from penstock.featurestore.tables import Tables
from penstock.lake.kept import newest_versions
from penstock.pipeline.featurefiles import bound_of, definitions_of
from penstock.pipeline.site import Site
from penstock.settings import Settings


@dataclass(frozen=True)
class ProjectFeatures:
    """The features that a project's files declare, fitted to its tables when first asked for."""

    site: Site
    settings: Settings = field(repr=False)

    @property
    def definitions(self) -> Definitions:
        """All that is declared, read anew from the files; what cannot be read is ``broken``."""
        return definitions_of(self.site)

    @cached_property
    def bound(self) -> Bound:
        """The definitions as they fit the tables; those that do not are ``broken``.

        Whatever asks for one of those gets its error; ``bound.must_be_sound()`` raises the first.
        """
        return bound_of(self.site, self.site.lake.tables())

    def earlier(self) -> Iterator[Bound]:
        """The features as they fitted derived tables before these were made otherwise, newest first."""
        yield from earlier(self.definitions, self.site.lake.tables())

    @cached_property
    def tables(self) -> Tables:
        """The rows that features are made from."""
        return Tables(self.site, self.settings)

    def refreshed(self) -> ProjectFeatures:
        """The features as the files declare them now."""
        return ProjectFeatures(self.site, self.settings)

    def historical(
        self,
        spine: object,
        features: str | Sequence[str],
        *,
        time: str | None = None,
        full_names: bool | None = None,
        save: str | None = None,
        replace: bool = False,
        progress: Progress = quiet,
    ) -> pa.Table:
        """The spine's rows, order and columns as they are, with one column more for each feature, for training.

        ``features`` are ``view:feature``, ``view:*`` or names of services. The spine (Arrow, pandas, Polars, rows as
        dicts, or a file) has the entities' key columns and an instant; each value is what was known at that instant:
        what the online store would have answered then. ``save`` keeps the table as a dataset of that name. Raises
        ``RequestError`` for names and values that do not fit; see `penstock.features.historical`.
        """
        if save is not None:
            self.datasets.check(save, replace=replace)
        relational, rows = self.tables.relational(self.bound), to_table(spine)
        how = {"time": time, "full_names": full_names}
        table = historical(self.bound, relational, rows, features, **how, progress=progress)  # type: ignore[arg-type]
        if save is not None:
            self.datasets.save(table, save, self._how(rows, features), replace=replace)
        return table

    def _how(self, spine: pa.Table, features: str | Sequence[str]) -> How:
        """How a training set was made: from which features of which versions, for which rows, of which tables."""
        chosen = resolve(self.bound, features)
        views = {one.view: view_of(self.bound, one.view).fingerprint for one in chosen}
        data = ", ".join(f"{name} version {number}" for name, number in newest_versions(self.site.lake).items())
        return How.of(tuple(map(str, chosen)), views, spine, data)

    @cached_property
    def datasets(self) -> Datasets:
        """The tables that were saved for training, by name."""
        return Datasets(self.site.file.folder / "training")
