"""What a project's file says is read whole or refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import RequestError
from penstock.pipeline.projectfile import LakeSettings, read_project
from penstock.pipeline.settled import Place

WHOLE = """
name = "shop"

[lake]
place = "kept"
keep_days = 7

[sources.shop]
url = "data/shop"
tables = ["orders", "customers"]
mode = "compare"

[tables.orders]
source = "shop"
from = "sales.orders"
mode = "incremental"
watermark = "updated_at"
key = ["shop_id", "order_id"]
time = "placed_at"
links = { customer_id = "customers" }
renames = { amount = "payment_amount" }
drops = "legacy"

[streams.clicks]
url = "redis://127.0.0.1:6379/clicks"
key = "id"

[queries]
churn = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"

[[alerts]]
command = ["notify", "--loud"]
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "penstock.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_project_reads_as_frozen_values(tmp_path):
    project = read_project(written(tmp_path, WHOLE))
    assert (project.name, project.folder, project.lake) == ("shop", tmp_path, LakeSettings("kept", None, 7))
    orders = project.tables["orders"]
    assert (orders.from_, orders.key, orders.drops) == ("sales.orders", ("shop_id", "order_id"), ("legacy",))
    assert (orders.links, orders.renames) == ({"customer_id": "customers"}, {"amount": "payment_amount"})
    assert project.sources["shop"].tables == ("orders", "customers")
    assert (project.streams["clicks"].key, project.alerts[0]) == (("id",), {"command": ["notify", "--loud"]})
    assert "churn" in project.queries


def test_a_folder_stands_for_its_file(tmp_path):
    written(tmp_path, WHOLE)
    assert read_project(tmp_path) == read_project(tmp_path / "penstock.toml")


def test_an_empty_file_is_a_project_named_after_its_folder(tmp_path):
    project = read_project(written(tmp_path, ""))
    assert (project.name, project.sources, project.lake.place) == (tmp_path.name, {}, "lake")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("name = ", "PROJECT_UNREADABLE", "penstock.toml is no TOML"),
        ("nmae = 'shop'", "PROJECT_KEY", "Did you mean 'name'?"),
        ("name = 3", "PROJECT_VALUE", "name is 3, which is no text"),
        ("[sources.shop]\ntables = 'a'", "PROJECT_MISSING", "[sources.shop] does not say url"),
        ("[sources.shop]\nurl = 'x'\nmode = 'incremantal'", "PROJECT_VALUE", "Did you mean 'incremental'?"),
        ("[sources.shop]\nurl = 'x'\ntables = 3", "PROJECT_VALUE", "tables is 3, which is no list of texts"),
        ("[sources.shop]\nurl = 'x'\ntables = [3]", "PROJECT_VALUE", "tables is 3, which is no text"),
        ("[sources]\nshop = 'x'", "PROJECT_VALUE", "[sources.shop] is no section"),
        ("[tables.orders]\nrenames = 'amount'", "PROJECT_VALUE", "which is no table of keys and values"),
        ("[tables.orders]\nrenames = { amount = 3 }", "PROJECT_VALUE", "[tables.orders] renames.amount is 3"),
        ("[lake]\nkeep_days = true", "PROJECT_VALUE", "keep_days is True, which is no whole number"),
        ("[tables.orders]\nfrm = 'x'", "PROJECT_KEY", "Did you mean 'from'?"),
        ("[queries]\nchurn = 3", "PROJECT_VALUE", "which is no text"),
        ("alerts = ['mail']", "PROJECT_VALUE", "alerts is 'mail', which is no table of keys and values"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(tmp_path, text, code, words):
    with pytest.raises(RequestError) as refused:
        read_project(written(tmp_path, text))
    assert refused.value.code == code
    assert words in str(refused.value)


def test_no_file_says_how_to_make_one(tmp_path):
    with pytest.raises(RequestError, match="Make one: penstock init SOURCE"):
        read_project(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "penstock.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(RequestError, match="is no TOML"):
        read_project(tmp_path)


def test_secrets_come_from_the_environment_and_stand_in_no_message(tmp_path, monkeypatch):
    project, place = read_project(written(tmp_path, WHOLE)), Place("penstock.toml", "sources.shop", "url")
    with pytest.raises(RequestError, match=r"\[sources.shop\] url needs the environment variable SHOP_KEY"):
        project.located("postgresql://ada:${SHOP_KEY}@db/shop", place)
    monkeypatch.setenv("SHOP_KEY", "secret")
    assert project.located("postgresql://ada:${SHOP_KEY}@db/shop", place) == "postgresql://ada:secret@db/shop"


def test_paths_are_told_from_the_projects_folder(tmp_path):
    project = read_project(written(tmp_path, WHOLE))
    assert project.located("data/shop", Place("penstock.toml")) == str(tmp_path / "data" / "shop")
    assert project.located("/data/shop", Place("penstock.toml")) == "/data/shop"
