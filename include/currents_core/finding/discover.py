"""Finds the files of given hours below a prefix, whatever lies between the prefix and Braze's folders.

Source:
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/event_delivery_semantics
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from currents_core.books.dead_letter import Letter, letters_of
from currents_core.books.ledger import Ledger
from currents_core.catalog import catalog
from currents_core.counted import counted
from currents_core.file_key import Slice, SourceFile
from currents_core.ports import ObjectStore, StoredObject
from currents_core.setup.run_request import RunRequest
from currents_core.setup.settings import Connector

log = logging.getLogger(__name__)

# Listing waits on the network. An hour with a hundred event types should not take a hundred round trips in a row.
_PARALLEL_LISTINGS = 16


def undelivered(
    connector: Connector, source: ObjectStore, ledger: Ledger, request: RunRequest
) -> dict[Slice, list[SourceFile]]:
    """The slices of a request's hours, and of its past hours, in which something is open, with their open files.

    Open is also a slice of the request's own hours that has files which failed or were not completed, and are not
    listed any more: who claims it finds out what became of them. A file of a past hour that could not be read is left
    to runs of its own hour: it must not fail every run that looks back on it. Raises SetupError if the request names an
    event type that the connector does not export.
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
    states = {file_id: state for hour in hours for head in ledger.heads(hour) for file_id, state in head.files.items()}
    past = set(request.past)
    delivered = {state.file.key for state in states.values() if state.fate == "done"}
    work: dict[Slice, list[SourceFile]] = {}
    for file in files:
        state = states.get(file.id)
        if state and (state.fate == "done" or (state.fate == "failed" and file.hour in past)):
            continue
        if file.key in delivered:
            log.warning("%s has changed since it was delivered; its new rows will be sent", file.uri)
        work.setdefault(file.slice, []).append(file)
    listed = {file.id for file in files}
    for file_id, state in states.items():
        if state.fate in {"open", "failed"} and file_id not in listed and request.wants(state.file.event_type):
            work.setdefault(state.file.slice, [])
    return work


def with_letters(
    ledger: Ledger, hours: Iterable[str], wants: Callable[[Letter], bool]
) -> tuple[dict[Slice, list[SourceFile]], Counter[Slice]]:
    """The slices of ``hours`` that have wanted dead letters: the files of these letters, and how many there are.

    It looks without a claim: whoever claims a slice decides which letters it sends.
    """
    work: dict[Slice, list[SourceFile]] = {}
    counts = Counter[Slice]()
    for head in (head for hour in hours for head in ledger.heads(hour)):
        done = [state for state in head.files.values() if state.fate == "done"]
        files = Counter(state.file for state, letter in letters_of(ledger.pages(head.slice), done) if wants(letter))
        if files:
            work[head.slice] = list(files)
            counts[head.slice] = files.total()
    return work, counts


def find_files(
    store: ObjectStore, prefix: str, hours: Collection[str], wants: Callable[[str], bool]
) -> list[SourceFile]:
    """The files of ``hours`` below ``prefix`` whose event type ``wants`` accepts, in the order of their keys.

    Looks for `event_type=<type>/date=<hour>/` at any depth, and for `date=<hour>/` where no folder names a type. Below
    the date it takes every object whatever its path, because Braze has changed the names there before; it skips names
    that begin with `_` or `.`, and folders. An empty object is a damaged file like any other.
    """
    kinds = list(_kinds(store, prefix, wants))
    if not kinds:
        place = f"s3://{store.bucket}/{prefix}"
        log.warning(
            "no folder below %s holds a wanted event type; if Braze has written files already, correct source.prefix",
            place,
        )
    with ThreadPoolExecutor(_PARALLEL_LISTINGS) as pool:
        listings = pool.map(lambda kind: list(_of_hours(store, kind, hours)), kinds)
        found = [
            SourceFile(store.bucket, each.key, each.etag, each.size)
            for listing in listings
            for each in listing
            if not _is_marker(each.key)
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


def _of_hours(store: ObjectStore, kind: str, hours: Collection[str]) -> Iterator[StoredObject]:
    """The objects of some hours in a folder of hours. As these sort by date, one listing gives them all."""
    if not hours:
        return
    folders, last = {f"date={hour}" for hour in hours}, f"date={max(hours)}"
    for each in store.objects(kind, after=f"{kind}date={min(hours)}"):
        folder = each.key.removeprefix(kind).partition("/")[0]
        if folder[: len(last)] > last:
            return
        if folder in folders:
            yield each


def _is_marker(key: str) -> bool:
    """Whether the object is a folder, or a marker such as `_SUCCESS` or `.crc`, which engines write beside files."""
    return key.endswith("/") or key.rsplit("/", 1)[-1].startswith(("_", "."))
