"""Texts, and whatever else has no fixed width, kept once under their hashes in a space of their own.

A record holds the 63-bit hash of a text; the text itself is MessagePack under that hash. An entry never changes, so
what was read once may be kept. Two texts of one hash are refused, never mixed up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from penstock.errors import StoreError
from penstock.online.store import Change, OnlineStore

MOST = 16 * 2**20
"""How many bytes of texts are remembered, about."""
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder()


def encoded(value: object) -> bytes:
    """A text or list as the bytes that are kept and hashed.

    >>> decoded(encoded(["a", "b"]))
    ['a', 'b']
    """
    return _ENCODER.encode(value)


def decoded(data: bytes) -> object:
    """The text or list again. Raises ``StoreError`` (``STORE_DAMAGED``) for other bytes."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError("STORE_DAMAGED", "a kept text cannot be read", hint="Make the store again.") from error


def hashed(data: bytes) -> int:
    """The 63-bit hash that stands for these bytes: a whole number from 0 on.

    >>> hashed(encoded("paid"))
    5343226122161423237
    """
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") >> 1


class Texts:
    """The texts of a space by hash. Made anew once the space is dropped, for it remembers what it read."""

    def __init__(self, store: OnlineStore, space: str) -> None:
        self.store, self.space = store, space
        self._values: dict[int, object] = {}
        self._bytes = 0

    def get(self, hashes: Iterable[int]) -> dict[int, object]:
        """The value of each hash. Raises ``StoreError`` (``STORE_DAMAGED``) where one is missing."""
        values = self._values
        asked = dict.fromkeys(hashes)
        found = {one: values[one] for one in asked if one in values}
        if len(found) < len(asked):
            missing = [one for one in asked if one not in found]
            kept = self._read(missing)
            if len(kept) < len(missing):
                message = f"{len(missing) - len(kept)} texts of {self.space} are missing"
                raise StoreError("STORE_DAMAGED", message, hint="Make the store again.")
            found |= self._remember(kept)
        return found

    def changes(self, found: Mapping[int, bytes]) -> list[Change]:
        """What to write so that these bytes are kept by their hashes: nothing for what is kept already.

        Raises ``StoreError`` (``TEXT_COLLISION``) where another text is kept under the hash.
        """
        values = self._values
        fresh = {one: data for one, data in found.items() if one not in values or encoded(values[one]) != data}
        kept = self._read(list(fresh)) if fresh else {}
        for one, data in kept.items():
            if data != fresh[one]:
                raise StoreError("TEXT_COLLISION", f"two texts of {self.space} have one hash: {one:x}")
        self._remember(kept)
        return [Change(self.space, _key(one), 0, data) for one, data in fresh.items() if one not in kept]

    def _read(self, hashes: list[int]) -> dict[int, bytes]:
        rows = self.store.read(self.space, [_key(one) for one in hashes])
        return {one: parts[0].data for one, parts in zip(hashes, rows, strict=True) if parts}

    def _remember(self, kept: Mapping[int, bytes]) -> dict[int, object]:
        if self._bytes > MOST:
            self._values, self._bytes = {}, 0
        values = {one: decoded(data) for one, data in kept.items()}
        self._values.update(values)
        self._bytes += sum(100 + len(data) for data in kept.values())
        return values


def _key(hash_: int) -> bytes:
    return hash_.to_bytes(8, "big")
