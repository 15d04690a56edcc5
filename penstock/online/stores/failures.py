"""What goes wrong with stores, in words that are the same for all of them."""

from __future__ import annotations

from penstock.errors import StoreError


def lost(where: str, reason: str) -> StoreError:
    """The error for a store that does not answer."""
    return StoreError("STORE_LOST", f"the store {where} does not answer: {reason}", hint="Is it running?")


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
