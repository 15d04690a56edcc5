"""What Python code says of a definition, as what definitions hold; anything else is refused where it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.errors import RequestError
from penstock.features.views.declared import About

_LONGEST = 60


def text(told: object, what: str) -> str:
    """A text. Raises ``RequestError`` (``FEATURE_VALUE``) for anything else.

    >>> text("driver", "its name")
    'driver'
    """
    if isinstance(told, str):
        return told
    raise unfit(told, what, "text")


def texts(told: object, what: str) -> tuple[str, ...]:
    """One text or several. Raises ``RequestError`` (``FEATURE_VALUE``) for anything else.

    >>> texts("shop_id", "its key"), texts(["shop_id", "item_id"], "its key")
    (('shop_id',), ('shop_id', 'item_id'))
    """
    several = [told] if isinstance(told, str) else told
    if (
        isinstance(several, Sequence)
        and not isinstance(several, bytes)
        and all(isinstance(one, str) for one in several)
    ):
        return tuple(several)
    raise unfit(told, what, "list of texts")


def named(told: object, what: str) -> dict[str, str]:
    """Texts by name; nothing where nothing is said. Raises ``RequestError`` (``FEATURE_VALUE``) for anything else.

    >>> named({"share": "a / b"}, "its features"), named(None, "its inputs")
    ({'share': 'a / b'}, {})
    """
    found = {} if told is None else told
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise unfit(told, what, "dictionary of texts")
    return {name: text(one, f"{name} in {what}") for name, one in found.items()}


def about(description: object, owner: object, tags: object) -> About:
    """What people say of a definition."""
    return About(text(description, "description"), text(owner, "owner"), named(tags, "tags"))


def unfit(told: object, what: str, noun: str) -> RequestError:
    """The error for an argument that is something else."""
    shown = repr(told)
    shown = shown if len(shown) <= _LONGEST and " at 0x" not in shown else f"a {type(told).__name__}"
    return RequestError("FEATURE_VALUE", f"{what} is {shown}, which is no {noun}")


__all__ = ["about", "named", "text", "texts", "unfit"]
