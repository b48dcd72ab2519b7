"""Finds the files of given hours below a prefix, whatever lies between the prefix and Braze's folders.

Source:
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/event_delivery_semantics
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from currents_core.file_key import SourceFile, is_hidden
from currents_core.ports import ObjectStore, StoredObject

log = logging.getLogger(__name__)

# Listing waits on the network. An hour with a hundred event types should not take a hundred round trips in a row.
_PARALLEL_LISTINGS = 16


def find_files(
    store: ObjectStore, prefix: str, hours: Collection[str], wants: Callable[[str], bool]
) -> list[SourceFile]:
    """The files of ``hours`` below ``prefix`` whose event type ``wants`` accepts, in the order of their keys.

    Looks for `event_type=<type>/date=<hour>/` at any depth, and for `date=<hour>/` where no folder names a type. Below
    the date it takes every object whatever its path, because Braze has changed the names there before; it skips files
    and folders whose names begin with `_` or `.`, and what stands for a folder. An empty object is a damaged file like
    any other.
    """
    kinds = list(type_folders(store, prefix, wants))
    if not kinds:
        place = f"s3://{store.bucket}/{prefix}"
        log.warning(
            "no folder below %s holds a wanted event type; if Braze has written files already, correct source.prefix",
            place,
        )
    return files_in(store, kinds, hours)


def files_in(store: ObjectStore, kinds: Iterable[str], hours: Collection[str]) -> list[SourceFile]:
    """The files of ``hours`` in folders that `type_folders` gave, in the order of their keys."""
    with ThreadPoolExecutor(_PARALLEL_LISTINGS) as pool:
        listings = pool.map(lambda kind: (kind, list(_of_hours(store, kind, hours))), kinds)
        found = [
            SourceFile(store.bucket, each.key, each.etag, each.size)
            for kind, listing in listings
            for each in listing
            if not (each.key.endswith("/") or is_hidden(each.key.removeprefix(kind)))
        ]
    return sorted(found, key=lambda file: file.key)


def type_folders(store: ObjectStore, prefix: str, wants: Callable[[str], bool]) -> Iterator[str]:
    """The folders to look for hours in: those of wanted event types, and others that contain a `date=` folder."""
    holds_dates = False
    for folder in store.folders(prefix):
        name, _, value = folder.removeprefix(prefix).rstrip("/").partition("=")
        if is_hidden(name):
            continue
        if name == "date":
            holds_dates = True
        elif name != "event_type":
            yield from type_folders(store, folder, wants)
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
