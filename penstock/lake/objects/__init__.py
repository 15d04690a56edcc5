"""Object stores that speak S3: objects listed, fetched to local files, put and deleted.

Credentials, region and endpoint come from the standard ``AWS_*`` environment and files, never from a URL.
"""

from __future__ import annotations

from penstock.lake.objects.address import Address, address
from penstock.lake.objects.since import Marker, objects_since
from penstock.lake.objects.store import ObjectStore, StoredObject, open_store

__all__ = ["Address", "Marker", "ObjectStore", "StoredObject", "address", "objects_since", "open_store"]
