"""Where what is kept of keys lies: one contract, and a file for each kind of store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from penstock.errors import RequestError
from penstock.online.store import OnlineStore

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


def open_store(url: str) -> OnlineStore:
    """The store at a URL, made when absent: a folder or ``lmdb:FOLDER``, ``redis://…``, ``postgresql://…``.

    ``?prefix=`` (Redis) and ``?schema=`` (PostgreSQL) keep several stores of a server apart. Raises ``RequestError``
    (``STORE_URL``) for other URLs, ``StoreError`` for a store that cannot be opened.
    """
    scheme, colon, _ = url.partition(":")
    if not url.strip():
        raise _unknown("the store's URL is empty", "")
    if not colon or "/" in scheme or "." in scheme:
        return _open_lmdb(f"lmdb:{url}")
    if scheme not in _KINDS:
        raise _unknown(f"there is no kind of store called {scheme!r}", scheme)
    return _KINDS[scheme](url)


def is_elsewhere(url: str) -> bool:
    """Whether reading the store at a URL asks a server.

    >>> is_elsewhere("redis://cache"), is_elsewhere("shop/online"), is_elsewhere("lmdb:/srv/online")
    (True, False, False)
    """
    return url.partition(":")[0] in _KINDS.keys() - {"lmdb"} and ":" in url


def _unknown(message: str, name: str, hint: str = "A path without a kind is a folder of LMDB's.") -> RequestError:
    return RequestError("STORE_URL", message, name=name, candidates=[*_KINDS], hint=hint)


def _open_lmdb(url: str) -> OnlineStore:
    from penstock.online.stores.lmdb import LmdbStore

    folder = url.partition(":")[2]
    if not folder or folder.startswith("//"):
        raise _unknown("a store of LMDB's is a folder: lmdb:FOLDER", folder)
    return LmdbStore(Path(folder).expanduser())


def _open_redis(url: str) -> OnlineStore:
    try:
        from penstock.online.stores.redis import RedisStore
    except ModuleNotFoundError as error:
        raise _missing(error, "redis", "redis") from None
    server, prefix = _named(url, "prefix", "penstock")
    return RedisStore(server, prefix)


def _open_postgres(url: str) -> OnlineStore:
    try:
        from penstock.online.stores.postgres import PostgresStore
    except ModuleNotFoundError as error:
        raise _missing(error, "psycopg", "postgres") from None
    server, schema = _named(url, "schema", "penstock_online")
    return PostgresStore(server, schema)


def _named(url: str, option: str, default: str) -> tuple[str, str]:
    """A server's URL without an option of ours, and the word that the option says."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:  # what it says may be a piece of a password
        message = "the store's URL cannot be read: behind its host there is no port"
        raise _unknown(message, "", "Write / : @ and ? of a password as %2F %3A %40 and %3F.") from None
    if not host or port == 0:
        raise _unknown("the store's URL names no server", "")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    word = dict(pairs).get(option, default)
    if not _WORD.fullmatch(word):
        raise _unknown(f"{option}={word} is no word of letters, digits, - and _", word)
    return parts._replace(query=urlencode([pair for pair in pairs if pair[0] != option])).geturl(), word


def _missing(error: ModuleNotFoundError, package: str, extra: str) -> Exception:
    if error.name != package:
        return error
    hint = f"Install it: pip install 'penstock[{extra}]'"
    return RequestError("STORE_NEEDS_PACKAGE", f"this kind of store needs the package {package}", hint=hint)


_KINDS: Mapping[str, Callable[[str], OnlineStore]] = {
    "lmdb": _open_lmdb,
    "redis": _open_redis,
    "rediss": _open_redis,
    "postgresql": _open_postgres,
    "postgres": _open_postgres,
}
