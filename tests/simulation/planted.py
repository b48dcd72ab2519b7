"""Faults to plant in the core, one at a time: each leaves out a rule that DESIGN.md names, and must be found.

A fault is the text of one function with a part of it replaced.
"""

# ruff: noqa: E501 - source text
from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

from tests.simulation.history import WATCHED


@dataclass(frozen=True)
class Fault:
    """A fault in the function ``place``, such as `books.claim:Claim.swap`: ``old`` becomes ``new`` in its source.

    Only one in ``every`` so many seeds, from 0 on, may find it.
    """

    name: str
    place: str
    old: str
    new: str
    every: int = 1

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The core with this fault."""
        module_name, _, path = self.place.partition(":")
        module = import_module(module_name)
        *parents, name = path.split(".")
        owner: Any = module
        for each in parents:
            owner = getattr(owner, each)
        found = inspect.getattr_static(owner, name)
        function: Any = found.fget if isinstance(found, property) else inspect.unwrap(found)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, f"{self.name}: the source has {self.old!r} {source.count(self.old)} times"
        made: dict[str, Any] = {}
        code = compile("from __future__ import annotations\n" + source.replace(self.old, self.new), self.place, "exec")
        exec(code, sys.modules[module_name].__dict__, made)
        with patch.object(owner, name, made[name]):
            yield


_CLAIM, _LEDGER, _PAGES = (
    "currents_core.books.claim:Claim",
    "currents_core.books.ledger:Ledger",
    "currents_core.books.pages:Pages",
)
_KEEP, _DELIVER = "currents_core.delivering.keep:Keeper", "currents_core.delivering.deliver:Delivery"
_TAKE, _PARK = "currents_core.delivering.take", "currents_core.delivering.park"
_FILE, _SLICE = "currents_core.delivering.open_file:OpenFile", "currents_core.delivering.open_slice:OpenSlice"
_PREPARE = "currents_core.delivering.prepare:Preparation"
_LETTERS = "currents_core.books.dead_letter"
_COMPACT, _DAY_PAGES = "currents_core.books.compact:Compaction", "currents_core.books.day_pages:DayPages"
_DAYS = "currents_core.books.days:Days"
_CONFIRM = "currents_core.delivering.confirm:Confirmer"

FAULTS = [
    Fault(
        "accepted rows do not come first",
        f"{_PREPARE}.entries",
        "went = opened.before.rows.mask(each.index.to_numpy())",
        "went = opened.before.rows.mask(each.index.to_numpy()) & False",
    ),
    Fault("a swap names rows without their ids", f"{_CLAIM}._with_ids", "if not sum(map(len, ids)):", "if True:"),
    Fault("merging pages forgets the ids in the head", f"{_CLAIM}._with_one_id_page", "page_of(head.ids)", "b''"),
    Fault(
        "letters make duplicates across deliveries",
        f"{_TAKE}:Taker._looked_at",
        "opened = OpenSlice(claim, claim.seen(), self.crew.lock())",
        "opened = OpenSlice(claim, claim.seen(), self.crew.lock())\n    from currents_core.books.id_pages import fingerprints\n    import pyarrow as pa\n    found = [letter['record']['id'] for _, letter in letters_of(claim.pages, claim.head.files.values()) if letter['record']['id']]\n    opened.seen.add(fingerprints(pa.array(found, pa.string()), claim.head.slice.event_type))",
    ),
    Fault("a duplicate does not wait for its original", f"{_SLICE}.through", "break", "continue"),
    Fault(
        "names of pages are counted, not the claim's own",
        f"{_CLAIM}.new_page",
        "page_name(self.head.claim, self.head.token, next(self._numbers), kind)",
        "page_name(1, 'x', next(self._numbers), kind)",
    ),
    Fault(
        "pages are removed before the swap that un-names them",
        f"{_CLAIM}.tidy",
        "        self._replace(tidied)",
        "        self.pages.remove(sorted(self._unnamed(tidied)))\n        self._replace(tidied)",
    ),
    Fault(
        "a swap that lost its answer is taken for another's",
        f"{_CLAIM}._read_own",
        "found.token != self.head.token",
        "found.nonce != self.head.nonce",
    ),
    Fault("a swap without an answer is taken as done", f"{_CLAIM}._replace", "if self._has_arrived(new):", "if True:"),
    Fault(
        "heads are replaced whatever is there",
        f"{_CLAIM}._replace",
        "self._etag)",
        "(self._store.read_version(self._key) or [0, None])[1])",
    ),
    Fault(
        "a lease is judged by the worker's clock",
        f"{_LEDGER}.claim",
        "stored.age <= self._lease",
        "stored.age + self._crew.seconds() % 1000 <= self._lease",
    ),
    Fault("a claim does not wait for the lease", f"{_LEDGER}.claim", "stored.age <= self._lease", "stored.age <= 5"),
    Fault("sending goes on without confirmed swaps", f"{_KEEP}.hold", "if is_stale", "if False"),
    Fault(
        "a swap counts from its end",
        f"{_CLAIM}._replace",
        "self.head, self.confirmed_at = new, began",
        "self.head, self.confirmed_at = new, self._seconds()",
    ),
    Fault(
        "giving back saves nothing",
        f"{_KEEP}._save_last",
        "self._swap(opened, pages, release=True)",
        "opened.claim.swap(release=True)",
    ),
    Fault(
        "what failed to be saved counts as saved",
        f"{_KEEP}._swap",
        "    if finish:\n",
        "    for each, state, parts in changed:\n        each.confirmed(state, parts)\n    if finish:\n",
    ),
    Fault("what is redriven stays a letter in the account", f"{_FILE}._moved", "went = ", "went = 0 * "),
    Fault(
        "letters that were left out of a redrive are lost",
        f"{_PARK}:_redriven",
        "elif not any(row in asked",
        "elif False and not any(row in asked",
    ),
    Fault("a damaged file is done", f"{_FILE}.ended", "if self.fault:", "if False:"),
    Fault(
        "ids of one delivery are not compared",
        f"{_PREPARE}.entries",
        "seen.add_run(each)",
        "pass",
    ),
    Fault(
        "old states in pages hide new ones",
        f"{_PAGES}.with_files",
        "{**paged, **head.files}",
        "{**head.files, **paged}",
    ),
    Fault(
        "a file is settled before its letters are written",
        f"{_KEEP}._settle",
        "pages = self._parked(opened, files)",
        "pages = {each.file.id: () for each in files}",
    ),
    Fault("answers in flight are not waited for", f"{_FILE}.is_through", "and not self._waiting", ""),
    Fault(
        "rows accepted while a swap is made are forgotten",
        f"{_FILE}.confirmed",
        "del self._new[: len(accepted)]",
        "self._new.clear()",
    ),
    Fault("a file that is gone loses its letters", f"{_TAKE}:gone", "account=account)", "account=account, letters=())"),
    Fault(
        "an hour is complete though files failed",
        "currents_core.books.manifest:Manifest.complete",
        "not self.open_files and ",
        "",
    ),
    Fault(
        "a new head forgets what its day says",
        f"{_LEDGER}.claim",
        "Head(place, begun=False)",
        "Head(place, begun=True)",
    ),
    Fault(
        "what a day says is looked up before the slice is claimed",
        f"{_LEDGER}.claim",
        "Head(place, begun=False)",
        "(self._days.head(place) or Head(place, begun=False))",
    ),
    Fault(
        "heads of a compacted day go, whatever became of them",
        f"{_COMPACT}._remove",
        "self.store.delete_version(version.key, version.etag)",
        "self.store.delete(version.key)",
    ),
    Fault(
        "pages go before their head",
        f"{_COMPACT}._remove",
        "        if version:",
        "        for key in pages:\n            self.store.delete(key)\n        if version:",
    ),
    Fault("a day takes slices from live tasks", f"{_COMPACT}._taken", "stored.age <= LEASE_SECONDS", "False"),
    Fault("a head that has not begun counts for its day", f"{_COMPACT}._taken", "if head.begun else None", ""),
    Fault(
        "a day counts as written though nobody knows",
        f"{_COMPACT}._write",
        "nonce != day.nonce",
        "nonce == 0",
    ),
    Fault(
        "pages of a day that nothing names stay",
        f"{_COMPACT}._clear",
        "not in day.names",
        "in ()",
    ),
    Fault("a day forgets the ids in heads", f"{_DAY_PAGES}.take", "if len(head.ids)", "if False"),
    Fault("a day keeps ids of heads that it takes in again", f"{_DAY_PAGES}._old_ids", "without=dropped", "without=()"),
    Fault(
        "a day forgets which files have letters",
        f"{_DAY_PAGES}.take",
        "_line(state, with_letters)",
        "_line(state, set())",
    ),
    Fault("a head names pages of its day", f"{_DAYS}._taken_over", "replace(state, letters=(name,))", "state"),
    Fault(
        "ids of a day are taken for those of one slice", f"{_DAYS}._with_ids", "-found.first, bounds)", "-found.first)"
    ),
    Fault(
        "what may be dropped counts at once",
        f"{_CONFIRM}.__init__",
        "self._hold_back if look else accept",
        "accept",
        WATCHED,
    ),
    Fault(
        "a look tells of what was accepted after it began",
        f"{_CONFIRM}._pass_on",
        "        for span, result in held:",
        "        held, self._held = [*held, *self._held], []\n        for span, result in held:",
        WATCHED,
    ),
    Fault("looks far apart tell of what was between them", f"{_CONFIRM}._require_near", "apart >=", "-1 >=", WATCHED),
    Fault(
        "a look that fails forgets what waited for it",
        f"{_CONFIRM}._look_now",
        "held + self._held",
        "self._held",
        WATCHED,
    ),
    Fault("sending goes on without looks", f"{_CONFIRM}.hold", "self._is_stale", "False", WATCHED),
    Fault(
        "a look that is under way is not waited for",
        f"{_CONFIRM}._waits",
        "bool(self._held) or bool(self._looking and not self._looking.done())",
        "bool(self._held)",
        WATCHED,
    ),
]
