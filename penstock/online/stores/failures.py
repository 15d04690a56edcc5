"""What goes wrong with stores, in words that are the same for all of them."""

from __future__ import annotations

import re

from penstock.errors import StoreError

_CERTIFICATE = re.compile(
    r"certificate.verify.failed|root certificate|does not match host ?name|hostname mismatch", re.I
)
_FORM = re.compile(r"key usage|key identifier|critical|name empty|path length", re.I)
_PASSWORD = re.compile(
    r"authentication failed|username-password|authentication required|no password supplied|role \S+ does not exist",
    re.I,
)
_TLS = re.compile(r"wrong.version.number|record layer failure|does not support SSL|SSL off|no encryption", re.I)

_UNKNOWN = "Say whose certificates to trust: ?ssl_ca_certs=FILE (Redis), ?sslrootcert=FILE (PostgreSQL)."
# Python 3.13 began to refuse certificates that older ones took.
_LAX = (
    "From Python 3.13 on certificates must be as RFC 5280 has them: make them anew, with key usage and key "
    "identifiers. Until then ?ssl_exclude_verify_flags=VERIFY_X509_STRICT (Redis) takes them as they are."
)


def lost(where: str, reason: str) -> StoreError:
    """The error for a store that does not answer, or not us; its words tell which.

    >>> lost("rediss://cache", "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate").code
    'STORE_UNTRUSTED'
    """
    if _CERTIFICATE.search(reason):
        hint = _LAX if _FORM.search(reason) else _UNKNOWN
        return StoreError("STORE_UNTRUSTED", f"the store {where} does not prove who it is: {reason}", hint=hint)
    if _PASSWORD.search(reason):
        hint = "Look at user and password in its URL."
        return StoreError("STORE_REFUSED", f"the store {where} does not let us in: {reason}", hint=hint)
    secure = where.startswith("rediss:") or _TLS.search(reason)
    hint = "Is it running, and does it speak TLS at this port?" if secure else "Is it running?"
    return StoreError("STORE_LOST", f"the store {where} does not answer: {reason}", hint=hint)


def full(where: str, reason: str) -> StoreError:
    """The error for a store without room; nothing was written."""
    return StoreError("STORE_FULL", f"the store {where} has no room: {reason}", hint="Make room, then go on.")


def damaged(where: str, reason: str) -> StoreError:
    """The error for a store that holds what nobody wrote."""
    return StoreError("STORE_DAMAGED", f"the store {where} is damaged: {reason}", hint="Remove it and sync again.")


def read_only(where: str, reason: str) -> StoreError:
    """The error for a store that may only be read."""
    return StoreError("STORE_READ_ONLY", f"the store {where} may only be read: {reason}")


def taken(where: str) -> StoreError:
    """The error for a writer whose right to write ended while it wrote; nothing of that write is there."""
    message = f"another writer feeds the store {where}: this one was silent for too long"
    return StoreError("STORE_TAKEN", message, hint="Sync again: it goes on where it was.")
