"""Names taken apart: the words of a column, the singular of a table, and what ends an identifier."""

from __future__ import annotations

import re
from functools import lru_cache

ID_WORDS = frozenset(
    {"id", "key", "no", "nr", "num", "number", "code", "uuid", "guid", "ref", "fk", "pk", "sk", "upc", "sku"}
)
"""Words that end the name of an identifier."""

_IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "mice": "mouse", "feet": "foot",
    "indices": "index", "vertices": "vertex", "matrices": "matrix", "analyses": "analysis", "movies": "movie",
    "series": "series", "species": "species", "news": "news", "data": "data", "cookies": "cookie", "lies": "lie",
    "status": "status", "address": "address", "statuses": "status", "addresses": "address", "caches": "cache",
    "bus": "bus", "buses": "bus", "gas": "gas", "lens": "lens", "canvas": "canvas", "bonus": "bonus",
}  # fmt: skip

_JOINED_ID = re.compile(r"(?<=[a-z]{3})(id|uuid|guid)$")
_NOT_JOINED = frozenset(
    {
        "paid",
        "said",
        "valid",
        "invalid",
        "void",
        "avoid",
        "bid",
        "grid",
        "solid",
        "fluid",
        "rapid",
        "hybrid",
        "covid",
        "unpaid",
    }
)


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The lower-case words of a name, whatever joins them.

    >>> words("OwnerUserId"), words("home_team"), words("CustomerID"), words("userid"), words("dim-Date 2")
    (('owner', 'user', 'id'), ('home', 'team'), ('customer', 'id'), ('user', 'id'), ('dim', 'date', '2'))
    """
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", name))
    found = [word.lower() for word in re.split(r"[\W_]+", split) if word] or [name]
    if found and found[-1] not in _NOT_JOINED and _JOINED_ID.search(found[-1]):
        stem = _JOINED_ID.sub("", found[-1])
        found[-1:] = [stem, found[-1][len(stem) :]]
    return tuple(found)


@lru_cache(maxsize=4096)
def singular(word: str) -> str:
    """The singular of an English plural; any other word as it is.

    >>> [singular(word) for word in ("users", "companies", "boxes", "matches", "invoices", "status", "people", "class")]
    ['user', 'company', 'box', 'match', 'invoice', 'status', 'person', 'class']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(?:[sx]|ch|sh|zz)es$", word) and not word.endswith(("ches", "shes", "sses", "xes", "zzes")):
        return word[:-1]
    if word.endswith(("ches", "shes", "sses", "xes", "zzes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2:
        return word[:-1]
    return word


@lru_cache(maxsize=4096)
def stem(name: str) -> tuple[str, ...]:
    """The words of a name with the last in the singular, and without a warehouse's prefix.

    >>> stem("postLinks"), stem("dim_customers"), stem("Employee")
    (('post', 'link'), ('customer',), ('employee',))
    """
    found = words(name)
    if len(found) > 1 and found[0] in {"dim", "fact", "fct", "tbl", "stg", "raw", "t"}:
        found = found[1:]
    return (*found[:-1], singular(found[-1])) if found else ()


def ends_with(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    """Whether one list of words ends with the other.

    >>> ends_with(("owner", "user"), ("user",)), ends_with(("user",), ())
    (True, False)
    """
    return bool(shorter) and longer[-len(shorter) :] == shorter


def without_id(name: str) -> tuple[str, ...]:
    """The words of a name without the word that says it identifies.

    >>> without_id("OwnerUserId"), without_id("home_team"), without_id("Id")
    (('owner', 'user'), ('home', 'team'), ())
    """
    found = words(name)
    cut = found[:-1] if found and found[-1] in ID_WORDS else found
    return (*cut[:-1], singular(cut[-1])) if cut else ()


def says_id(name: str) -> bool:
    """Whether a name ends as identifiers do.

    >>> says_id("StockCode"), says_id("Quantity")
    (True, False)
    """
    found = words(name)
    return bool(found) and found[-1] in ID_WORDS
