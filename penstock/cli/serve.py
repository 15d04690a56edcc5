"""``penstock serve``: a project's features over the network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.features import NONE_DECLARED
from penstock.cli.front import main

if TYPE_CHECKING:
    from penstock.serving.running import Listen
    from penstock.serving.service import FeatureService


@main.command(short_help="Serve a project's features over HTTP and Arrow Flight.")
@click.option(
    "--project", metavar="PATH", default=".", show_default=True, help="The project's folder, or its penstock.toml."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. Others need PENSTOCK_TOKEN set.")
@click.option("--port", type=click.IntRange(0, 65535), default=6566, show_default=True, help="0: any that is free.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="How many processes answer.")
@click.option("--flight-port", type=click.IntRange(0, 65535), help="Serve the past by Arrow Flight, too.")
def serve(project: str, host: str, port: int, workers: int, flight_port: int | None) -> None:
    """Serve a project's features over HTTP, as Feast's clients ask for them, until a signal stops it."""
    from penstock.serving.running import serve as run

    run(partial(_opened, project), host, port, workers=workers, flight_port=flight_port, told=_told)


def _opened(path: str) -> FeatureService:
    from penstock.lake import spare_pandas
    from penstock.project import open_project

    spare_pandas()
    project: Any = open_project(path)
    service: Any = project.service()
    service.prepare()
    if project.features.bound.empty:
        click.echo(NONE_DECLARED, err=True)
    opened: FeatureService = service
    return opened


def _told(listen: Listen) -> None:
    click.echo(f"serving at {listen.http}", err=True)
    if listen.flight is not None:
        click.echo(f"Arrow Flight at {listen.flight}", err=True)
