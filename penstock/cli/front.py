"""The command itself: its help, and how errors end it."""

from __future__ import annotations

import errno
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from penstock.cli.terminal import echo_json
from penstock.errors import PenstockError, RequestError, system_error
from penstock.interrupts import heard

EPILOG = """\b
Examples:
  penstock demo
  penstock graph shop.duckdb --mermaid
  penstock predict shop.duckdb "PREDICT COUNT(orders.*, 0, 90, days) = 0 FOR EACH customers.customer_id"
"""


class Front(click.Group):
    """Turns errors into exit statuses: 2 for a wrong request, 1 for data that cannot answer, 130 when interrupted.

    What fails on this machine (a full disk, a source that does not answer) ends with 1, too.
    """

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Note whether JSON is asked for, so that errors can be told in it before a command is known."""
        context.meta["penstock.json"] = "--json" in args
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        as_json = context.meta["penstock.json"]
        try:
            with heard():
                return super().invoke(context)
        except PenstockError as error:
            _show_error(error, as_json=as_json)
            context.exit(error.exit_status)
        except OSError as error:
            if error.errno == errno.EPIPE:  # nobody reads on: the command ends quietly
                raise
            failed = system_error(error)
            _show_error(failed, as_json=as_json)
            context.exit(failed.exit_status)
        except click.UsageError as error:
            if as_json:
                echo_json({"error": RequestError("USAGE", error.format_message()).to_dict()})
            raise
        except KeyboardInterrupt:
            click.echo("interrupted; nothing is left half-written", err=True)
            context.exit(130)


class SourceOrCommand(click.Group):
    """A group whose first word may be a source instead of a command: then its command ``of`` takes it."""

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """The command of that name, or ``of``."""
        if args and args[0] not in self.commands:
            self._must_be_no_slip(context, args)
            args = ["of", *args]
        return super().resolve_command(context, args)

    def _must_be_no_slip(self, context: click.Context, args: list[str]) -> None:
        """Refuse a lone word that names nothing: a command was meant."""
        word = args[0]
        if len(args) == 1 and not word.startswith("-") and word.isidentifier() and not Path(word).exists():
            close = get_close_matches(word, self.commands, n=1)
            meant = f" Did you mean {close[0]!r}?" if close else f" Commands: {', '.join(sorted(self.commands))}."
            raise click.UsageError(f"No such command {word!r}.{meant}", context)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Options before the source are the source's."""
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            args = ["of", *args]
        return super().parse_args(context, args)


def _show_error(error: PenstockError, *, as_json: bool) -> None:
    if as_json:
        echo_json({"error": error.to_dict()})
    head, *rest = str(error).split("\n")
    click.secho(head, fg="red", bold=True, err=True)
    for line in rest:
        click.secho(line, fg="yellow" if set(line.strip()) == {"~"} else None, err=True)


@click.group(
    cls=Front, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="penstock")
def main() -> None:
    """Ask a database what will happen: one line of PQL in, predictions with evidence out.

    SOURCE is a folder of CSV, Parquet or JSON-lines files, one such file, a .duckdb or .sqlite file, a URL such as
    postgresql://user@host/db, mysql://user@host/db or s3://bucket/folder, or a project (a folder with penstock.toml).
    Secrets may come from the environment as the drivers read them.

    A project keeps things: penstock init SOURCE begins one, plan says what a run would do, run does it.
    """
