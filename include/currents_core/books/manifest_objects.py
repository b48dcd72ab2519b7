"""The objects in which manifests are kept: of which hours there are some, and what is in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from currents_core.books.format import sound
from currents_core.books.layout import Layout, hour_of_manifest
from currents_core.ports import ObjectStore, StoredObject

# What the manifests of all versions have.
_PARTS = {
    "complete": bool,
    "totals": dict,
    "event_types": dict,
    "notes": dict,
    "drift": dict,
    "warnings": list,
    "files": dict,
    "written_at": str,
}


def parse_manifest(body: bytes, uri: str) -> dict[str, Any]:
    """The manifest that ``Manifest.as_json`` gave; ``uri`` is its place. Raises DamagedError if it is none."""
    return sound(body, uri, _whole)


def listed_manifests(
    store: ObjectStore, layout: Layout, date: str = "", *, since: str = ""
) -> Iterator[tuple[str, StoredObject]]:
    """The hours with manifests, in their order: those of a ``date``, or all ``since`` an hour.

    What somebody else put among them is left out.
    """
    after = layout.manifest(since).removesuffix(".json") if since else ""
    for each in store.objects(layout.hours("manifests", date), after=after):
        if hour := hour_of_manifest(each.key):
            yield hour, each


def _whole(raw: Any) -> dict[str, Any]:
    """Raises KeyError or TypeError where something is missing that all versions wrote."""
    for name, kind in _PARTS.items():
        if not isinstance(raw[name], kind):
            raise TypeError(name)
    if not isinstance(raw["files"]["open"], dict):
        raise TypeError("open")
    return dict(raw)
