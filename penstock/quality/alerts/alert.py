"""Whom to tell, and how: settings of a webhook, an e-mail or a command."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import TypeAlias
from urllib.parse import urlsplit

from penstock.errors import RequestError, SchemaError
from penstock.quality.check import SEVERITIES, Severity

_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Webhook:
    """A POST of JSON to ``url``: ``https``, or ``http`` to this machine; anywhere else only where ``insecure``.

    The URL may hold a secret, and is never printed whole.
    """

    url: str = field(repr=False)
    timeout: float = 10.0
    severity: Severity = "warn"
    insecure: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RequestError("ALERT_URL", f"{self.label} is no address of a web hook", hint="Write https://….")
        if parts.scheme == "http" and not self.insecure and not is_loopback(parts.hostname):
            hint = "Write https, or allow it: insecure = true."
            raise RequestError("ALERT_INSECURE", f"{self.label} would be sent unencrypted", hint=hint)
        _times_must_fit(self.timeout, self.severity, self.label)

    @property
    def label(self) -> str:
        """What it is called in messages: the host alone."""
        return f"webhook at {urlsplit(self.url).hostname or 'an unknown host'}"


@dataclass(frozen=True)
class Email:
    """A message by SMTP. The password comes from the environment variable ``password_variable``, never from a file.

    ``encryption`` is ``starttls``, ``tls`` or, on this machine or where ``insecure``, ``none``.
    """

    to: tuple[str, ...]
    sender: str
    host: str
    port: int = 587
    user: str = ""
    encryption: str = "starttls"
    password_variable: str = "PENSTOCK_SMTP_PASSWORD"
    timeout: float = 10.0
    severity: Severity = "warn"
    insecure: bool = False

    def __post_init__(self) -> None:
        for address in (*self.to, self.sender):
            if not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", address):
                raise RequestError("ALERT_ADDRESS", f"{address!r} is no e-mail address", hint="Write name@domain.")
        if not self.to:
            raise RequestError("ALERT_ADDRESS", f"{self.label} is to nobody", hint='Write to = ["name@domain"].')
        if self.encryption not in ("starttls", "tls", "none"):
            known = ("starttls", "tls", "none")
            message = f"there is no encryption {self.encryption!r}"
            raise SchemaError("ALERT_ENCRYPTION", message, name=self.encryption, candidates=known)
        if self.encryption == "none" and not self.insecure and not is_loopback(self.host):
            hint = 'Write encryption = "starttls", or allow it: insecure = true.'
            raise RequestError("ALERT_INSECURE", f"{self.label} would be sent unencrypted", hint=hint)
        _times_must_fit(self.timeout, self.severity, self.label)

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return f"e-mail to {', '.join(self.to)}"


@dataclass(frozen=True)
class Command:
    """A program with its arguments, run without a shell; the notice comes as JSON on its standard input."""

    arguments: tuple[str, ...]
    timeout: float = 30.0
    severity: Severity = "warn"

    def __post_init__(self) -> None:
        if not self.arguments or any("\0" in one for one in self.arguments):
            raise RequestError("ALERT_COMMAND", "the command is empty", hint='Write command = ["program", "argument"].')
        _times_must_fit(self.timeout, self.severity, self.label)

    @property
    def label(self) -> str:
        """What it is called in messages: the program alone."""
        return f"command {self.arguments[0]}"


Alert: TypeAlias = Webhook | Email | Command


def alert_id(alert: Alert) -> str:
    """A name for an alert that stays the same as long as it goes to the same place; it tells no secret."""
    where = {Webhook: "url", Email: "to", Command: "arguments"}[type(alert)]
    told = f"{type(alert).__name__} {getattr(alert, where)!r}"
    return blake2b(told.encode(), digest_size=8).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or number alone.

    >>> is_loopback("localhost"), is_loopback("127.0.0.9"), is_loopback("127.0.0.1.example.com")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_alerts(told: Sequence[Mapping[str, object]], place: str = "alerts") -> tuple[Alert, ...]:
    """Alerts as a project's file lists them: each has ``webhook``, ``email`` (a list) or ``command`` (a list).

    Raises ``SchemaError`` or ``RequestError`` that names place and key.

    >>> read_alerts([{"command": ["logger", "-t", "penstock"]}])
    (Command(arguments=('logger', '-t', 'penstock'), timeout=30.0, severity='warn'),)
    """
    return tuple(_alert(one, f"{place}, alert {at}") for at, one in enumerate(told, 1))


_KINDS: Mapping[str, tuple[str, Callable[..., Alert]]] = {
    "webhook": ("url", Webhook),
    "email": ("to", Email),
    "command": ("arguments", Command),
}


def _alert(told: Mapping[str, object], place: str) -> Alert:
    kinds = [kind for kind in _KINDS if kind in told]
    if len(kinds) != 1:
        raise SchemaError("ALERT_KIND", f"{place}: it needs one of webhook, email, command", candidates=_KINDS)
    where, maker = _KINDS[kinds[0]]
    types = {one.name: type(one.default) for one in fields(maker) if one.name != where}  # type: ignore[arg-type]
    given = {name: value for name, value in told.items() if name != kinds[0]}
    for name, value in given.items():
        _key_must_fit(name, value, types, kinds[0], place)
    if kinds[0] == "email" and not {"sender", "host"} <= set(given):
        raise SchemaError("ALERT_MISSING_KEY", f"{place}: an email alert needs sender and host", candidates=types)
    try:
        return maker(**{where: _target(told[kinds[0]], kinds[0], place)}, **given)
    except (RequestError, SchemaError) as error:
        error.message = f"{place}: {error.message}"
        error.args = (str(error),)
        raise


def _target(value: object, kind: str, place: str) -> str | tuple[str, ...]:
    if kind == "webhook" and isinstance(value, str):
        return value
    if kind != "webhook" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    needs = "a text" if kind == "webhook" else "a list of texts"
    raise RequestError("ALERT_BAD_VALUE", f"{place}: {kind} must be {needs}")


def _key_must_fit(name: str, value: object, types: Mapping[str, type], kind: str, place: str) -> None:
    if name not in types:
        message = f"{place}: an alert by {kind} has no key {name!r}"
        raise SchemaError("ALERT_UNKNOWN_KEY", message, name=name, candidates=types)
    wanted = {float: (int, float), bool: (bool,), int: (int,)}.get(types[name], (str,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise RequestError("ALERT_BAD_VALUE", f"{place}: {name} cannot be {value!r}")


def _times_must_fit(timeout: float, severity: str, label: str) -> None:
    if not 0 < timeout <= _LONGEST_WAIT:
        raise RequestError("ALERT_TIMEOUT", f"the timeout of the {label} must lie above 0 and up to 60 seconds")
    if severity not in SEVERITIES:
        message = f"there is no severity {severity!r}"
        raise SchemaError("CHECK_UNKNOWN_SEVERITY", message, name=severity, candidates=SEVERITIES)
