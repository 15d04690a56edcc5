"""The graphs of the real databases are those that their manifests give, but for what is listed here."""

from __future__ import annotations

import json

import pytest

from penstock.inference import infer
from penstock.lake import describe, open_source

# What is inferred beyond the manifests, each true of the data.
KEYS = {
    ("journey", "campaign_households"): ("campaign_id", "household_id"),  # no pair repeats; the manifest names no key
    ("chinook", "PlaylistTrack"): ("PlaylistId", "TrackId"),  # the manifest can only name one column
}
LINKS = {
    ("football", "shootouts", "first_shooter"): "teams",  # every value is a team
}
TIMES = {("chinook", "Employee"): "HireDate"}  # somebody is an employee from the day of being hired


@pytest.fixture(params=["retail", "journey", "stats_se", "football", "chinook"])
def database(request, shared):
    folder = shared / "data" / request.param
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return request.param, infer(describe(open_source(folder))), manifest["tables"]


def test_keys_are_those_of_the_manifest(database):
    name, graph, tables = database
    expected = {
        table: KEYS.get((name, table), (said["pkey"],) if said["pkey"] else ()) for table, said in tables.items()
    }
    assert {table.name: table.keys for table in graph} == expected


def test_links_are_those_of_the_manifest(database):
    name, graph, tables = database
    expected = {(table, column): to for table, said in tables.items() for column, to in said["fkeys"].items()}
    expected |= {(table, column): to for (where, table, column), to in LINKS.items() if where == name}
    assert {(link.table, link.column): link.to for link in graph.links} == expected


def test_times_are_those_of_the_manifest(database):
    name, graph, tables = database
    expected = {table: TIMES.get((name, table), said["time_col"]) for table, said in tables.items()}
    assert {table.name: table.happened for table in graph} == expected


def test_rows_are_those_of_the_manifest(database):
    _, graph, tables = database
    assert {table.name: table.rows for table in graph} == {table: said["rows"] for table, said in tables.items()}
