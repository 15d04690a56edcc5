"""Alerts: told once an episode, to real receivers, and never at the cost of a run."""

from __future__ import annotations

import base64
import json
import re
import sys

import pyarrow as pa
import pytest

from penstock.errors import PenstockError, RequestError, SchemaError
from penstock.quality.alerts import send as sending
from penstock.quality.alerts.alert import Command, Email, Webhook, is_loopback, read_alerts
from penstock.quality.alerts.episodes import Alerts
from penstock.quality.alerts.send import Notice, send
from penstock.quality.check import check
from penstock.quality.contract import Contract
from penstock.quality.report import Report
from penstock.quality.run import run_checks
from tests.quality.receivers import closed_port, mail_server, web_hook

CONTRACT = Contract("orders", (check("not_null", "secret"), check("range", "amount", min=0, severity="warn")))
NOTICE = Notice("orders", 5, ({"name": "a_range", "severity": "error", "reason": "a_range: a is at least 0: é"},))


def report(secret: str | None = "x", amount: int = 1, now: int = 0) -> Report:
    rows = pa.table({"secret": pa.array([secret], pa.string()), "amount": [amount]})
    return run_checks(CONTRACT, {"orders": rows}, now=lambda: now)


# ---------------------------------------------------------------- receivers


def test_a_web_hook_gets_the_notice_as_json():
    with web_hook() as hook:
        assert send(Webhook(hook.url), NOTICE) == ""
    (told,) = hook.got
    assert told == json.loads(NOTICE.to_json())
    assert (told["event"], told["table"], told["failures"][0]["name"]) == ("checks_failed", "orders", "a_range")
    assert told["text"] == "Penstock: orders: 1 check failed\n- a_range: a is at least 0: é"


def test_what_goes_to_this_machine_goes_through_no_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    with web_hook() as hook:
        assert send(Webhook(hook.url), NOTICE) == ""
    assert len(hook.got) == 1


def test_a_hook_that_stumbles_is_tried_again_and_one_that_refuses_is_not():
    with web_hook() as hook:
        hook.statuses = [500, 429]
        assert send(Webhook(hook.url), NOTICE, pause=0.01) == ""
        assert len(hook.got) == 1
        hook.statuses = [403, 200]
        assert send(Webhook(hook.url), NOTICE, pause=0.01) == "webhook at 127.0.0.1: it answered 403"
        assert (len(hook.got), hook.statuses) == (1, [200])
        hook.statuses = [503] * sending.TRIES
        assert send(Webhook(hook.url), NOTICE, pause=0.01) == "webhook at 127.0.0.1: it answered 503"
        assert hook.statuses == []


def test_a_redirect_is_not_followed():
    with web_hook() as hook:
        hook.statuses = [302] * sending.TRIES
        assert send(Webhook(hook.url), NOTICE, pause=0.01) == "webhook at 127.0.0.1: it answered 302"
        assert hook.got == []


def test_nobody_there_is_said_without_the_secret_of_the_address():
    problem = send(Webhook(f"http://localhost:{closed_port()}/secret-token"), NOTICE, pause=0.01)
    assert problem.startswith("webhook at localhost: ")
    assert "refused" in problem
    assert "secret-token" not in problem + repr(Webhook("https://example.com/secret-token"))


def test_an_e_mail_is_sent_with_the_password_of_the_environment(monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "p@ss word")
    with mail_server() as mailbox:
        alert = Email(
            ("ada@example.com", "bob@example.com"), "penstock@example.com", "127.0.0.1", mailbox.port,
            user="ada", encryption="none", password_variable="MAIL_PASSWORD",
        )  # fmt: skip
        assert send(alert, NOTICE) == ""
    (message,) = mailbox.messages
    assert "Subject: Penstock: orders: 1 check failed" in message
    assert "To: ada@example.com, bob@example.com" in message
    assert "a_range: a is at least 0" in message
    assert base64.b64decode(mailbox.login[0]).decode() == "\0ada\0p@ss word"


def test_a_mail_server_that_refuses_or_knows_no_encryption_is_said():
    with mail_server() as mailbox:
        mailbox.refuses = True
        alert = Email(("ada@example.com",), "penstock@example.com", "127.0.0.1", mailbox.port, encryption="none")
        problem = send(alert, NOTICE, pause=0.01)
        assert problem.startswith("e-mail to ada@example.com: SMTPRecipientsRefused")
        secure = Email(("ada@example.com",), "penstock@example.com", "127.0.0.1", mailbox.port)
        assert "STARTTLS extension not supported" in send(secure, NOTICE, pause=0.01)
        assert mailbox.messages == []


def test_a_name_with_a_line_break_is_no_second_header():
    with mail_server() as mailbox:
        alert = Email(("ada@example.com",), "penstock@example.com", "127.0.0.1", mailbox.port, encryption="none")
        assert send(alert, Notice("a\r\nBcc: eve@example.com", 0, NOTICE.failures)) == ""
    head = mailbox.messages[0].partition("\r\n\r\n")[0]
    assert not re.search("^Bcc", head, re.M)


def test_a_command_gets_the_notice_on_its_input_and_no_shell(tmp_path):
    heard = tmp_path / "heard; touch x"
    assert send(Command(("tee", str(heard))), NOTICE) == ""
    assert heard.read_text() == NOTICE.to_json()
    assert [path.name for path in tmp_path.iterdir()] == ["heard; touch x"]


def test_a_command_that_fails_hangs_or_is_absent_is_said(tmp_path):
    fails = Command((sys.executable, "-c", "import sys; sys.exit('no room')"))
    assert send(fails, NOTICE, pause=0.01) == f"command {sys.executable}: it ended with status 1: no room"
    hangs = Command((sys.executable, "-c", "import time; time.sleep(60)"), timeout=0.2)
    assert send(hangs, NOTICE, pause=0.01) == f"command {sys.executable}: it took longer than 0.2 seconds"
    absent = send(Command((str(tmp_path / "absent"), "--token=secret")), NOTICE, pause=0.01)
    assert "FileNotFoundError" in absent
    assert "secret" not in absent


# ---------------------------------------------------------------- episodes


def test_a_failure_is_told_once_until_it_has_passed_again(tmp_path):
    with web_hook() as hook:
        alerts = Alerts(tmp_path, (Webhook(hook.url),))
        (told,) = alerts.tell(report(secret=None, now=1))
        assert (told.sent, told.table, told.checks) == (True, "orders", ("secret_not_null",))
        assert alerts.tell(report(secret=None, now=2)) == ()
        assert Alerts(tmp_path, alerts.alerts).tell(report(secret=None, amount=-1, now=3))[0].checks == (
            "amount_range",
        )
        assert alerts.tell(report(now=4)) == ()
        assert alerts.tell(report(secret=None, now=5))[0].checks == ("secret_not_null",)
    assert [(told["instant"], len(told["failures"])) for told in hook.got] == [(1, 1), (3, 1), (5, 1)]


def test_what_could_not_be_told_is_told_next_time(tmp_path):
    with web_hook() as hook:
        hook.statuses = [410]
        alerts = Alerts(tmp_path, (Webhook(hook.url),))
        (told,) = alerts.tell(report(secret=None))
        assert (told.sent, told.problem) == (False, "webhook at 127.0.0.1: it answered 410")
        assert alerts.retry()[0].sent
        assert alerts.retry() == ()
        hook.statuses = [410]
        assert not alerts.tell(report(secret=None, amount=-1))[0].sent
        assert alerts.tell(report()) == ()
    assert len(hook.got) == 1


def test_each_receiver_is_told_of_what_it_asked_for(tmp_path):
    with web_hook() as all_of_it, web_hook() as errors:
        alerts = Alerts(tmp_path, (Webhook(all_of_it.url), Webhook(errors.url, severity="error")))
        alerts.tell(report(amount=-1))
        assert (len(all_of_it.got), len(errors.got)) == (1, 0)
        alerts.tell(report(amount=-1, secret=None))
        assert [told["failures"][0]["name"] for told in errors.got] == ["secret_not_null"]
        assert [told["failures"][0]["name"] for told in all_of_it.got] == ["amount_range", "secret_not_null"]


def test_no_row_of_the_table_is_told(tmp_path):
    contract = Contract(
        "orders", (check("regex", "secret", pattern="^x$"), check("expression", condition="absent > 1"))
    )
    found = run_checks(contract, {"orders": pa.table({"secret": ["swordfish"]})})
    with web_hook() as hook:
        assert all(told.sent for told in Alerts(tmp_path, (Webhook(hook.url),)).tell(found))
    assert "swordfish" not in json.dumps(hook.got)
    assert "it could not be run (SQL_FAILED)" in json.dumps(hook.got)
    assert "swordfish" not in (tmp_path / "alerts.json").read_text()


def test_a_torn_record_means_that_it_is_told_once_more(tmp_path):
    with web_hook() as hook:
        alerts = Alerts(tmp_path, (Webhook(hook.url),))
        alerts.tell(report(secret=None))
        (tmp_path / "alerts.json").write_text('{"orders": ')
        alerts.tell(report(secret=None))
    assert len(hook.got) == 2


# ---------------------------------------------------------------- settings


def test_alerts_are_read_from_settings():
    told = [
        {"webhook": "https://chat.example.com/hook", "timeout": 5, "severity": "error"},
        {"email": ["ada@example.com"], "sender": "p@example.com", "host": "mail.example.com", "user": "p"},
        {"command": ["logger", "-t", "penstock"], "timeout": 1.5},
    ]
    assert read_alerts(told) == (
        Webhook("https://chat.example.com/hook", timeout=5, severity="error"),
        Email(("ada@example.com",), "p@example.com", "mail.example.com", user="p"),
        Command(("logger", "-t", "penstock"), timeout=1.5),
    )


WRONG = [
    ({"web": "x"}, SchemaError, "penstock.toml, alert 1: it needs one of webhook, email, command"),
    ({"webhook": "https://a", "command": ["b"]}, SchemaError, "it needs one of webhook, email, command"),
    ({"webhook": "http://chat.example.com/x"}, RequestError, "webhook at chat.example.com would be sent unencrypted"),
    ({"webhook": "file:///etc/passwd"}, RequestError, "is no address of a web hook"),
    ({"webhook": ["https://a"]}, RequestError, "webhook must be a text"),
    ({"webhook": "https://a", "timeuot": 1}, SchemaError, "Did you mean 'timeout'?"),
    ({"webhook": "https://a", "timeout": "1"}, RequestError, "timeout cannot be '1'"),
    ({"webhook": "https://a", "timeout": 0}, RequestError, "must lie above 0 and up to 60 seconds"),
    ({"webhook": "https://a", "severity": "all"}, SchemaError, "there is no severity 'all'"),
    ({"command": []}, RequestError, "the command is empty"),
    ({"command": "rm -rf x"}, RequestError, "command must be a list of texts"),
    ({"email": ["a@b"]}, SchemaError, "an email alert needs sender and host"),
    ({"email": [], "sender": "a@b", "host": "c"}, RequestError, "is to nobody"),
    ({"email": ["a"], "sender": "a@b", "host": "c"}, RequestError, "'a' is no e-mail address"),
    ({"email": ["a@b"], "sender": "a@b", "host": "c", "password": "x"}, SchemaError, "has no key 'password'"),
    ({"email": ["a@b"], "sender": "a@b", "host": "c", "encryption": "none"}, RequestError, "would be sent unencrypted"),
    ({"email": ["a@b"], "sender": "a@b", "host": "c", "encryption": "ssl"}, SchemaError, "no encryption 'ssl'"),
]


@pytest.mark.parametrize(("told", "error", "says"), WRONG, ids=[says[:40] for _, _, says in WRONG])
def test_bad_settings_are_refused_by_place(told: dict[str, object], error: type[PenstockError], says: str):
    with pytest.raises(error, match=re.escape(says)) as raised:
        read_alerts([told], "penstock.toml")
    assert "penstock.toml, alert 1: " in str(raised.value)


def test_loopback_is_told_by_the_name_alone():
    assert [is_loopback(host) for host in ("::1", "127.8.8.8", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("10.0.0.1", "localhost.example.com", "0.0.0.0", "")] == [False] * 4
