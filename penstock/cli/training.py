"""Training values on the command line: features for the rows of a spine, and the datasets that were saved."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.features import features
from penstock.cli.options import destination, project_option
from penstock.cli.terminal import deliver, echo_json, print_table, shown_rows, watched

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from penstock.features.datasets import Dataset
    from penstock.features.views.bound import Bound


@features.command(short_help="Values for the rows of a file, for training.")
@click.argument("spine", type=click.Path(exists=True, dir_okay=False))
@click.argument("wanted", nargs=-1, required=True, metavar="FEATURES...")
@click.option("--time", metavar="COLUMN", help="The spine's column of instants. Default: cutoff, event_timestamp, …")
@click.option("--full-names", is_flag=True, help="Call features view__feature.")
@click.option("--save", metavar="NAME", help="Keep the table as a dataset of this name.")
@click.option("--replace", is_flag=True, help="Replace a dataset of that name.")
@click.option("--rows", type=click.IntRange(min=0), help="Rows to print. Default: 20, and all with --json.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=destination, help="Write all of them there.")
@project_option
def historical(
    project: Any, spine: str, wanted: tuple[str, ...], time: str | None, full_names: bool, save: str | None,
    replace: bool, rows: int | None, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """FEATURES (view:feature, view:*, a service) for the rows of the file SPINE, each as of the row's own instant."""
    with watched("reading the spine") as progress, redirect_stdout(sys.stderr):  # what on-demand functions print
        how = {"time": time, "full_names": full_names or None, "save": save, "replace": replace}
        found: pa.Table = project.features.historical(spine, list(wanted), progress=progress, **how)
    if out or as_json:
        deliver(found, out, as_json, rows=rows, key=())  # rows of a spine may be the same
    else:
        print_table(found, 20 if rows is None else rows, "--rows, --json or --out shows them")


@features.command(short_help="The training sets that were saved.")
@project_option
def datasets(project: Any, as_json: bool) -> None:
    """The tables that were saved for training: rows, columns, features, when, and which views have changed since."""
    told = project.features.datasets.all()
    changed = _changed(project.features.bound, told)
    if as_json:
        echo_json([{**asdict(one), "changed": views} for one, views in zip(told, changed, strict=True)])
        return
    if not told:
        click.echo("none are saved; save one: penstock features historical SPINE FEATURES --save NAME")
        return
    shown_rows(
        ("dataset", "rows", "columns", "features", "saved", "changed since"),
        [(one.name, one.rows, len(one.columns), len(one.how.features), _when(one.saved), ", ".join(views))
         for one, views in zip(told, changed, strict=True)],
    )  # fmt: skip


def _changed(bound: Bound, told: Sequence[Dataset]) -> list[list[str]]:
    """Of each dataset the views whose versions are no longer those that it was made by."""
    from penstock.features.views.chosen import view_of

    now = {name: view_of(bound, name).fingerprint for name in bound.names}
    return [[view for view, version in one.how.versions.items() if now.get(view) != version] for one in told]


def _when(saved: str) -> str:
    """An instant as tables show it.

    >>> _when("2026-01-31T12:00:00+00:00")
    '2026-01-31 12:00:00'
    """
    return saved.replace("T", " ").removesuffix("+00:00")
