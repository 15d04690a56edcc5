"""Notices sent, each with a few tries within a minute."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.parse import urlsplit

from penstock.quality.alerts.alert import Alert, Command, Email, Webhook, is_loopback

TRIES = 3
WITHIN = 50.0
"""Seconds after which no further try begins."""
_REFUSED = range(400, 500)
_AGAIN = (408, 425, 429)


@dataclass(frozen=True)
class Notice:
    """What is told: the failures of one table's checks, each with name, severity, sentence and what was seen."""

    table: str
    instant: int
    failures: tuple[Mapping[str, object], ...]

    @property
    def subject(self) -> str:
        """One line."""
        count = len(self.failures)
        told = f"Penstock: {self.table}: {count} check{'' if count == 1 else 's'} failed"
        return " ".join(told.split())

    @property
    def text(self) -> str:
        """A few lines for people."""
        return "\n".join([self.subject, *(f"- {failure['reason']}" for failure in self.failures)])

    def to_json(self) -> str:
        """The notice for machines. ``text`` is what chat programs show."""
        told = {"event": "checks_failed", "table": self.table, "instant": self.instant, "text": self.text}
        return json.dumps({**told, "failures": [dict(failure) for failure in self.failures]})


class _AnsweredError(OSError):
    """The receiver answered that something went wrong there."""


class _RefusedError(Exception):
    """The receiver refused: another try would be refused too."""


def send(alert: Alert, notice: Notice, pause: float = 0.5) -> str:
    """Send a notice. Gives why it could not be sent, or an empty text; never raises for what the receiver does.

    ``pause`` is the first wait in seconds between two tries; the second is twice as long.
    """
    until, problem = time.monotonic() + WITHIN, ""
    for attempt in range(TRIES):
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            _once(alert, notice, min(alert.timeout, left))
        except _RefusedError as error:
            return f"{alert.label}: {error}"
        except (OSError, HTTPException, subprocess.SubprocessError, ValueError) as error:
            problem = f"{alert.label}: {_said(error)}"
            time.sleep(pause * 2**attempt if attempt + 1 < TRIES else 0)
        else:
            return ""
    return problem


def _once(alert: Alert, notice: Notice, timeout: float) -> None:
    if isinstance(alert, Webhook):
        _post(alert, notice, timeout)
    elif isinstance(alert, Email):
        _mail(alert, notice, timeout)
    else:
        _run(alert, notice, timeout)


def _said(error: Exception) -> str:
    """What went wrong, without what may be secret: a URL's path, a command's arguments."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took longer than {error.timeout:.1f} seconds"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, UnicodeError):
        return "a text that cannot be sent"
    if isinstance(error, _AnsweredError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A hook that points elsewhere is an error: what is told goes where the settings say, and nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """No further request."""


def _post(alert: Webhook, notice: Notice, timeout: float) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "penstock"}
    request = urllib.request.Request(alert.url, notice.to_json().encode(), headers, method="POST")
    direct = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(alert.url).hostname or "") else []
    opener = urllib.request.build_opener(_NoRedirect, *direct)
    try:
        with opener.open(request, timeout=timeout) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _REFUSED and error.code not in _AGAIN:
                raise _RefusedError(f"it answered {error.code}") from error
            raise _AnsweredError(f"it answered {error.code}") from error


def _mail(alert: Email, notice: Notice, timeout: float) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = notice.subject, alert.sender, ", ".join(alert.to)
    message.set_content(notice.text)
    secure = ssl.create_default_context()
    if alert.encryption == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(alert.host, alert.port, timeout=timeout, context=secure)
    else:
        server = smtplib.SMTP(alert.host, alert.port, timeout=timeout)
    with server:
        if alert.encryption == "starttls":
            server.starttls(context=secure)
        if alert.user:
            server.login(alert.user, os.environ.get(alert.password_variable, ""))
        server.send_message(message)


def _run(alert: Command, notice: Notice, timeout: float) -> None:
    with tempfile.TemporaryFile() as errors:
        given = notice.to_json().encode()
        done = subprocess.run(
            alert.arguments, input=given, stdout=subprocess.DEVNULL, stderr=errors, timeout=timeout, check=False
        )
        if done.returncode:
            errors.seek(0)
            said = errors.read(400).decode(errors="replace").strip()
            raise _AnsweredError(f"it ended with status {done.returncode}{': ' + said if said else ''}")
