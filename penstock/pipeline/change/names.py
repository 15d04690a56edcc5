"""How alike two names of columns are: word by word, abbreviations and synonyms included."""

from __future__ import annotations

from functools import lru_cache

from penstock.inference.words import singular, words

_SHORT = {
    "acct": "account", "addr": "address", "amt": "amount", "avg": "average", "bal": "balance", "cat": "category",
    "cd": "code", "cnt": "count", "ctry": "country", "cust": "customer", "desc": "description", "descr": "description",
    "dept": "department", "dob": "birthday", "dt": "date", "emp": "employee", "fname": "forename", "grp": "group",
    "hr": "hour", "img": "image", "inv": "invoice", "lat": "latitude", "lname": "surname", "lng": "longitude",
    "lon": "longitude", "loc": "location", "max": "maximum", "mgr": "manager", "min": "minimum", "msg": "message",
    "mth": "month", "nbr": "number", "no": "number", "nr": "number", "num": "number", "ord": "order",
    "org": "organisation", "organization": "organisation", "pct": "percent", "prod": "product", "qty": "quantity",
    "ref": "reference", "seq": "sequence", "st": "status", "stat": "status", "tel": "phone", "telephone": "phone",
    "tot": "total", "trx": "transaction", "ts": "timestamp", "txn": "transaction", "txt": "text", "typ": "type",
    "usr": "user", "val": "value", "wk": "week", "yr": "year", "zip": "postcode", "postal": "postcode",
}  # fmt: skip
"""What is usually meant by a short word."""

_ALIKE = (
    {"amount", "total", "sum", "value"}, {"price", "cost", "charge", "fee", "rate"},
    {"date", "time", "timestamp", "datetime", "at", "on", "day", "when"},
    {"name", "title", "label"}, {"customer", "client", "buyer"}, {"user", "member", "account"},
    {"type", "kind", "category", "class", "group"}, {"id", "number", "code", "key", "identifier"},
    {"country", "nation"}, {"city", "town"}, {"phone", "mobile"}, {"gender", "sex"}, {"quantity", "count", "units"},
    {"comment", "note", "remark", "text", "body", "message", "description"}, {"item", "product", "article"},
    {"status", "state", "phase"}, {"purchase", "order"}, {"shop", "store"}, {"mail", "email"}, {"url", "link"},
    {"forename", "firstname", "givenname"}, {"surname", "lastname", "familyname"}, {"goal", "score", "point"},
    {"creation", "created", "placed", "registered", "joined", "added", "signup"}, {"vendor", "supplier", "seller"},
)  # fmt: skip
"""Words that mean about the same as the name of a column."""

_OPPOSED = (
    {"home", "away"}, {"first", "last"}, {"start", "end"}, {"begin", "end"}, {"from", "to"}, {"min", "max"},
    {"minimum", "maximum"}, {"created", "updated"}, {"created", "modified"}, {"created", "deleted"},
    {"creation", "modification"}, {"creation", "update"}, {"gross", "net"}, {"in", "out"}, {"up", "down"},
    {"buy", "sell"}, {"billing", "shipping"}, {"billing", "delivery"}, {"old", "new"}, {"source", "target"},
    {"left", "right"}, {"open", "close"}, {"opened", "closed"}, {"credit", "debit"}, {"latitude", "longitude"},
    {"like", "dislike"}, {"yes", "no"}, {"previous", "next"}, {"width", "height"}, {"parent", "child"},
    {"sent", "received"}, {"ordered", "shipped"}, {"shipped", "delivered"}, {"placed", "shipped"}, {"tax", "discount"},
    {"forename", "surname"}, {"x", "y"}, {"hour", "minute"}, {"year", "month"}, {"day", "month"}, {"year", "day"},
    {"birth", "death"}, {"birth", "hire"}, {"high", "low"}, {"sender", "receiver"}, {"buyer", "seller"},
    {"city", "country"}, {"city", "state"}, {"state", "country"}, {"phone", "fax"}, {"unit", "total"},
    {"price", "quantity"},
    {"week", "month"}, {"week", "year"}, {"upvote", "downvote"}, {"owner", "editor"}, {"a", "b"},
)  # fmt: skip
"""Words that tell two columns of one table apart, however alike the rest is."""

_PLAIN = frozenset(
    {"id", "code", "number", "name", "date", "type", "value", "key", "text", "is", "has", "the", "of", "at"}
)
"""Words that many columns have: they say little."""


@lru_cache(maxsize=8192)
def parts(name: str) -> tuple[str, ...]:
    """A name's words in full: singular, lower case, without abbreviations.

    >>> parts("custId"), parts("ORDER_QTY"), parts("order quantities")
    (('customer', 'id'), ('order', 'quantity'), ('order', 'quantity'))
    """
    return tuple(_SHORT.get(word, _SHORT.get(singular(word), singular(word))) for word in words(name))


def alike(ours: str, theirs: str, table: str = "") -> float:
    """How alike two names are, from 0 to 1; words of the table's own name count little.

    >>> alike("amount", "payment_amount", "payments") > 0.8, alike("custId", "customer_id"), alike("city", "colour")
    (True, 1.0, 0.0)
    """
    mine, others = parts(ours), parts(theirs)
    if mine == others or "".join(mine) == "".join(others):
        return 1.0
    scores = {(a, b): _word(a, b) for a in mine for b in others}
    pairs, matched = sorted(scores, key=lambda pair: (-scores[pair], pair)), dict[str, str]()
    weight = {word: _weight(word, table) for word in (*mine, *others)}
    common = 0.0
    for a, b in pairs:
        if scores[a, b] > 0 and a not in matched and b not in matched.values():
            matched[a] = b
            common += scores[a, b] * (weight[a] + weight[b])
    if {*matched, *matched.values()} <= _PLAIN and len(matched) < min(len(mine), len(others)):
        common /= 2  # customer_id and order_id
    whole = sum(weight[word] for word in mine) + sum(weight[word] for word in others)
    return round(max(common / whole if whole else 0.0, _spelled(ours, theirs)), 4)


def opposed(ours: str, theirs: str) -> bool:
    """Whether the words in which two names differ are known to tell columns apart.

    >>> opposed("home_score", "away_score"), opposed("home_score", "home_goals")
    (True, False)
    """
    mine, others = set(parts(ours)), set(parts(theirs))
    left, right = mine - others, others - mine
    numbered = {w for w in left if w.isdigit()} and {w for w in right if w.isdigit()}
    return bool(numbered) or any({a, b} in _OPPOSED for a in left for b in right)


def _weight(word: str, table: str) -> float:
    if word in parts(table):
        return 0.25
    return 0.5 if word in _PLAIN else 1.0


@lru_cache(maxsize=65536)
def _word(a: str, b: str) -> float:
    if a == b:
        return 1.0
    if any(a in group and b in group for group in _ALIKE):
        return 0.7
    short, long = sorted((a, b), key=lambda word: (len(word), word))
    if len(short) >= 2 and (long.startswith(short) or short == _consonants(long)):
        return 0.8
    if 3 <= len(short) < len(long) and short[0] == long[0] and _within(short, long):
        return 0.7
    return 0.85 if len(short) > 3 and _slip(a, b) else 0.0


def _consonants(word: str) -> str:
    return word[:1] + "".join(letter for letter in word[1:] if letter not in "aeiou")


def _slip(a: str, b: str) -> bool:
    """Whether one slip of the hand makes one of the other: a letter too many, another letter, two in wrong order."""
    start = _shared(a, b)
    a, b = a[start:], b[start:]
    end = _shared(a[::-1], b[::-1])
    a, b = a[: len(a) - end], b[: len(b) - end]
    return len(a) + len(b) <= 1 or (len(a) == len(b) and a == b[::-1] and len(a) <= 2)


def _shared(a: str, b: str) -> int:
    """How many letters both begin with."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _within(short: str, long: str) -> bool:
    """Whether the letters of one word are in the other, in order."""
    rest = iter(long)
    return all(letter in rest for letter in short)


def _spelled(ours: str, theirs: str) -> float:
    """Names spelled alike as a whole, but for a slip."""
    mine, others = ours.casefold(), theirs.casefold()
    return 0.95 if min(len(mine), len(others)) > 3 and _slip(mine, others) else 0.0
