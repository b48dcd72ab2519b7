"""What only the manifest of an hour says: which files are open and why, and how rows differ from what is documented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from currents_airflow.page.books import Books


@dataclass(frozen=True, slots=True)
class Told:
    """The reasons of open files by their keys, lines about drift by event type, and the manifest's address."""

    address: str
    open: Mapping[str, str] = field(default_factory=dict)
    drift: Mapping[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    is_there: bool = False


def told_of(books: Books, hour: str) -> Told:
    """What the manifest of an hour says, or that it is damaged. One of a compacted day is not read."""
    from currents_aws.console import object_address
    from currents_core.books.format import DamagedError
    from currents_core.books.manifest_objects import parse_manifest

    connector, key = books.connector, books.layout.manifest(hour)
    address = object_address(connector.destination.region, connector.state.bucket, key)
    body = books.store.read(key)
    if body is None:
        return Told(address)
    try:
        raw = parse_manifest(body, f"s3://{connector.state.bucket}/{key}")
    except DamagedError as error:
        return Told(address, warnings=[str(error)])
    return Told(address, raw["files"]["open"], raw["drift"], raw["warnings"], is_there=True)
