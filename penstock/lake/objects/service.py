"""The service that keeps objects, as the environment names it, and what its failures mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.errors import SourceError

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

_CONNECT_SECONDS, _SILENT_SECONDS, _ATTEMPTS = 5.0, 10.0, 3
_FAILED = re.compile(r"AWS Error ([A-Z_]+)")
_DENIED = {"ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID",
           "UNRECOGNIZED_CLIENT", "REQUEST_EXPIRED", "INVALID_SIGNATURE", "MISSING_AUTHENTICATION_TOKEN"}  # fmt: skip
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")


def service(environment: Mapping[str, str] = os.environ) -> S3FileSystem:
    """The service at AWS_ENDPOINT_URL (default: AWS itself) in AWS_REGION, with the credentials that the process has.

    One that does not answer is given up after half a minute at most. Raises ``SourceError`` for an endpoint that is no
    URL.
    """
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    return _connected(endpoint, region or ("us-east-1" if endpoint else ""))


@cache
def _connected(endpoint: str, region: str) -> S3FileSystem:
    from pyarrow import fs

    parts = urlsplit(endpoint)
    if endpoint and (parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc):
        hint = "Write it like https://host:port."
        raise SourceError("SOURCE_URL", "AWS_ENDPOINT_URL is no address of a server", hint=hint)
    return fs.S3FileSystem(
        endpoint_override=parts.netloc + parts.path.rstrip("/") or None,
        scheme=parts.scheme or "https",
        region=region or None,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_SILENT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turns what the service says went wrong into a ``SourceError`` about ``where``."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError("SOURCE_ABSENT", f"there is no {where}") from None
    except OSError as error:
        raise _translated(where, str(error)) from error


def _translated(where: str, reason: str) -> SourceError:
    found = _FAILED.search(reason)
    kind = found[1] if found else ""
    if kind == "NO_SUCH_BUCKET":
        hint = "Check the name, and AWS_REGION and AWS_ENDPOINT_URL."
        return SourceError("SOURCE_ABSENT", f"{where}: there is no such bucket", hint=hint)
    if kind in _DENIED:
        return _denied(where)
    if kind == "NETWORK_CONNECTION":
        server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "AWS"
        why = reason.partition("Details: ")[2] or reason
        message = f"{where} cannot be opened: {server} does not answer ({why})"
        return SourceError("SOURCE_UNREACHABLE", message, hint="Check AWS_ENDPOINT_URL and AWS_REGION.")
    return SourceError("SOURCE_UNREADABLE", f"{where}: {reason}", hint="Check AWS_REGION and AWS_ENDPOINT_URL.")


def _denied(where: str) -> SourceError:
    if not any(os.environ.get(name) for name in _KEYS):
        hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or AWS_PROFILE."
        return SourceError("SOURCE_DENIED", f"{where}: access denied, and there are no credentials", hint=hint)
    hint = "The credentials need to list the bucket and to get its objects."
    return SourceError("SOURCE_DENIED", f"{where}: access denied with the credentials in the environment", hint=hint)
