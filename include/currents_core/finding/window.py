"""How a run enters the books of its connector: whose they are, and which past hours it finds without a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from currents_core.books.index import Index, IndexObject, window_start
from currents_core.books.manifests import Manifests
from currents_core.errors import SetupError
from currents_core.hour import hour_end, hours_between, is_live
from currents_core.setup.run_request import RunRequest
from currents_core.setup.settings import Connector


@dataclass(frozen=True, slots=True)
class Entered:
    """The index for a run to look with. ``missed`` are late hours of the window that no run was made for.

    ``left`` are hours that are no longer in the window, and not known to be complete. Both are told once.
    """

    index: Index
    missed: Sequence[str] = ()
    left: Sequence[str] = ()


def require_stream(index: Index | None, connector: Connector, books: str, *, keeps_books: bool = False) -> None:
    """Raises SetupError if the books, at ``books``, are of another stream, unless the run ``keeps_books``."""
    if index and index.stream and index.stream != connector.stream and not keeps_books:
        raise SetupError(
            f"{connector.name}: the books in {books} are of {index.stream}, but the connector now says "
            f"{connector.stream}; give it another state.prefix to begin new books, or trigger an export with "
            "`keep_books` to go on with these: what they call sent will not go to the new destination"
        )


def enter(
    books: IndexObject, manifests: Manifests, connector: Connector, request: RunRequest, now: datetime
) -> Entered:
    """Enters the books for a run, which are of its stream from then on.

    Only scheduled runs, which look back, leave a note that they began.

    Raises SetupError if the books are of another stream and the request does not keep them.
    """
    before = books.read()
    require_stream(before, connector, books.uri, keeps_books=request.keeps_books)
    if not request.looks_back:
        # Of new books too: settings may change between two tries of the first run.
        is_new = before is None or not before.stream
        return Entered(books.change(_of(connector)) if is_new or request.keeps_books or not before else before)
    [hour], start = request.hours, window_start(request.hours[0], connector.lookback_hours)
    if before is None:
        # What an earlier version of this project exported is no backfill.
        known = manifests.first_hour(start)
        before = Index(first=min(hour, known or hour))
    late = timedelta(minutes=connector.notify.deadline_minutes)
    # Where hours are caught up with, those before this one have runs that only have not begun yet.
    past = before.missed(request.past) if is_live(hour, now) else []
    missed = [each for each in past if hour_end(each) + late < now]
    first = before.first

    def step(index: Index) -> Index:
        begun = replace(index, first=index.first or first)
        # Nobody waits for an hour that is older than the window, and whose run was cleared.
        since = window_start(max(index.newest, hour), connector.lookback_hours)
        return _of(connector)(begun).with_begun([hour, *missed]).since(since)

    return Entered(books.change(step), missed, _left(before, start, catches_up=connector.schedule.catchup))


def _left(before: Index, start: str, *, catches_up: bool) -> list[str]:
    """The hours before the window that are not known to be complete; of a catch-up those whose runs have ended."""
    left = before.incomplete(start)
    if catches_up:
        # Each hour has a run, the newest first, and it may take days until all of their tasks had their turn.
        return [hour for hour in left if hour in before.accounted]
    # Of what was exported by hand alone, nobody asked for the hours that follow.
    newest = max(before.begun, default="")
    return [*left, *(hours_between(newest, start) if newest and newest < start else [])]


def _of(connector: Connector) -> Callable[[Index], Index]:
    return lambda index: replace(index, stream=connector.stream)
