"""Where objects are: a bucket and a prefix, as an ``s3://`` URL writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock.errors import SourceError

_BUCKET = re.compile(r"[a-z0-9A-Z][a-z0-9A-Z._-]{1,254}")


@dataclass(frozen=True)
class Address:
    """A bucket and a prefix in it, without slashes around; an empty prefix is the whole bucket."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def place(self, key: str) -> str:
        """The path of a key below the prefix, bucket first."""
        return "/".join(part for part in (self.bucket, self.prefix, key) if part)

    def parent(self) -> tuple[Address, str]:
        """What is above the prefix, and the prefix's last name.

        >>> print(*Address("shop", "2024/orders.csv").parent())
        s3://shop/2024 orders.csv
        """
        above, _, name = self.prefix.rpartition("/")
        return Address(self.bucket, above), name


def address(url: str) -> Address:
    """The address that a URL writes; everything behind the bucket is the prefix, letter for letter.

    Raises ``SourceError`` for a URL with no bucket, or with a user or password: those belong in the environment.

    >>> address("s3://shop/daily/orders/")
    Address(bucket='shop', prefix='daily/orders')
    """
    bucket, _, prefix = url.partition("://")[2].partition("/")
    if "@" in bucket:
        shown = f"s3://…@{bucket.rpartition('@')[2]}"
        hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead."
        raise SourceError("SOURCE_URL", f"{shown}: credentials do not belong in a URL", hint=hint)
    if not _BUCKET.fullmatch(bucket):
        raise SourceError("SOURCE_URL", f"{url}: {bucket!r} is no bucket", hint="Write it like s3://bucket/prefix.")
    return Address(bucket, prefix.strip("/"))
