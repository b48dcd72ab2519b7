"""Finds the files of given hours below a prefix, whatever lies between the prefix and Braze's folders.

Source:
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/event_delivery_semantics
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

from currents_core.books.ledger import Ledger
from currents_core.catalog import catalog
from currents_core.counted import counted
from currents_core.file_key import SourceFile, place_of
from currents_core.ports import ObjectStore
from currents_core.setup.run_request import RunRequest
from currents_core.setup.settings import Connector

log = logging.getLogger(__name__)

# Listing waits on the network. An hour with a hundred event types should not take a hundred round trips in a row.
_PARALLEL_LISTINGS = 16


def undelivered(connector: Connector, source: ObjectStore, ledger: Ledger, request: RunRequest) -> list[SourceFile]:
    """The files of a request's hours, and the late files of its past hours, that are not delivered yet.

    A file of a past hour that could not be read is left to runs of its own hour: it must not fail every run that looks
    back on it. Raises SetupError if the request names an event type that the connector does not export.
    """
    hours = (*request.past, *request.hours)
    known = set(catalog())

    def wants(event_type: str) -> bool:
        known.add(event_type)
        return connector.event_types.wants(event_type) and request.wants(event_type)

    found = find_files(source, connector.source.prefix, hours, wants)
    request.require_known(event_type for event_type in known if connector.event_types.wants(event_type))
    files = [file for file in found if request.wants(file.event_type)]
    if len(files) < len(found):
        log.warning("left out %s whose event type no folder names", counted(len(found) - len(files), "file"))
    done = set[str]().union(*(ledger.done(each) for each in hours))
    settled = done.union(*(ledger.failed(each).keys() for each in request.past))
    open_files = [file for file in files if file.id not in settled]
    places = {place_of(each) for each in done}
    for file in open_files:
        if file.place in places:
            log.warning("%s has changed since it was delivered; its new rows will be sent", file.uri)
    return open_files


def find_files(
    store: ObjectStore, prefix: str, hours: Collection[str], wants: Callable[[str], bool]
) -> list[SourceFile]:
    """The files of ``hours`` below ``prefix`` whose event type ``wants`` accepts, in the order of their keys.

    Looks for `event_type=<type>/date=<hour>/` at any depth, and for `date=<hour>/` where no folder names a type. Below
    the date it takes every object whatever its path, because Braze has changed the names there before; it skips empty
    objects and names that begin with `_` or `.`.
    """
    kinds = list(_kinds(store, prefix, wants))
    if not kinds:
        place = f"s3://{store.bucket}/{prefix}"
        log.warning(
            "no folder below %s holds a wanted event type; if Braze has written files already, correct source.prefix",
            place,
        )
    with ThreadPoolExecutor(_PARALLEL_LISTINGS) as pool:
        folders = [folder for kind in kinds for folder in _of_hours(kind, hours)]
        listings = pool.map(lambda folder: list(store.objects(folder)), folders)
        found = [
            SourceFile(store.bucket, each.key, each.etag, each.size)
            for listing in listings
            for each in listing
            if each.size and not _is_hidden(each.key)
        ]
    return sorted(found, key=lambda file: file.key)


def _kinds(store: ObjectStore, prefix: str, wants: Callable[[str], bool]) -> Iterator[str]:
    """The folders to look for hours in: those of wanted event types, and others that contain a `date=` folder."""
    holds_dates = False
    for folder in store.folders(prefix):
        name, _, value = folder.removeprefix(prefix).rstrip("/").partition("=")
        if name == "date":
            holds_dates = True
        elif name != "event_type":
            yield from _kinds(store, folder, wants)
        elif wants(value):
            yield folder
    if holds_dates:
        yield prefix


def _of_hours(folder: str, hours: Collection[str]) -> Iterator[str]:
    # Asking for each hour by name is cheaper than listing every hour ever written.
    return (f"{folder}date={hour}/" for hour in hours)


def _is_hidden(key: str) -> bool:
    """Whether the object is a marker such as `_SUCCESS` or `.crc`, which engines write next to their files."""
    return key.rsplit("/", 1)[-1].startswith(("_", "."))
