"""Keeps the slices of a delivery: saves what was accepted, settles what is through, and gives the slices back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from types import TracebackType
from typing import Self

from currents_core.books.head import FileState
from currents_core.crew import Crew, Job
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.open_slice import OpenSlice
from currents_core.errors import CurrentsError, FencedError, TransientError

log = logging.getLogger(__name__)

# What is accepted while a checkpoint is written is not in it: by the next, no more than a second's worth is unsaved.
BEAT_SECONDS = 0.5
# A slice on which nothing happens shows this often that its task is alive, in seconds.
_IDLE_SECONDS = 3.0
# Nothing is sent when the last confirmed swap of a slice that waits for answers began longer ago, in seconds. What a
# task sends without knowing that it lost the slice is bounded by that.
_STALE_SECONDS = 5.0
# After so many seconds without a confirmed swap, the delivery ends.
_PATIENCE_SECONDS = 20.0
# For so long a delivery that ends tries to save what it sent since its last checkpoint, in seconds: it would go again.
_LAST_SECONDS = 120.0

Park = Callable[[OpenSlice, Sequence[OpenFile]], Mapping[str, tuple[str, ...]]]


class Keeper:
    """Keeps the slices of one delivery. A context manager: leaving it gives back the slices that are still open.

    Every ``beat_seconds`` it replaces the head of each slice that got further, and calls ``on_beat``. ``park`` writes
    the letters of files that are through, and returns their pages by file id. ``settled`` is called with each file that
    is settled, and its state. ``fail`` is called with the fault that must end the delivery.
    """

    def __init__(
        self,
        crew: Crew,
        *,
        park: Park,
        settled: Callable[[OpenFile, FileState], None],
        fail: Callable[[CurrentsError], None],
        on_beat: Callable[[], None],
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._crew = crew
        self._park = park
        self._settled = settled
        self._fail = fail
        self._on_beat = on_beat
        self._beat_seconds = beat_seconds
        self._open: dict[OpenSlice, None] = {}
        self._told_late: set[OpenSlice] = set()
        self._jobs: list[Job[None]] = []
        self._ended = crew.signal()
        self._hurried = crew.signal()
        self._fresh_until = 0.0

    def __enter__(self) -> Self:
        self._beat = self._crew.begin_beat(self._keep_saving)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._beat.result()
        # Otherwise a rerun would wait for the claims to run out.
        left = list(self._open)
        faults = self._give_all_back(left)
        self.wait()
        for each in [each for opened in left for each in opened.open_files()]:
            each.close()
        for fault in faults:
            if fault and error is None:
                # A delivery that ends before all is through has not saved what it sent.
                raise fault

    def hurry(self) -> None:
        """Has the last checkpoint tried no more than once: somebody waits for the end."""
        self._hurried.set()

    def add(self, opened: OpenSlice) -> None:
        """Adds a slice that was claimed."""
        self._open[opened] = None
        self._fresh_until = 0.0

    def finish_soon(self, opened: OpenSlice) -> bool:
        """Starts to give back a slice all of whose files are through, and returns at once: whether it was for it to."""
        is_free = opened.begin_to_settle()
        if is_free:
            self._start(self._finish, opened)
        return is_free

    def hold(self) -> float:
        """Seconds to wait before anything may be sent: 0 unless a slice could have been lost without knowing.

        It is asked before each request, so it only looks at the slices when one of them may be stale.
        """
        now = self._crew.seconds()
        if now < self._fresh_until:
            return 0.0
        opened = list(self._open)
        self._fresh_until = min((each.claim.confirmed_at for each in opened), default=now) + _STALE_SECONDS
        is_stale = any(now - each.claim.confirmed_at >= _STALE_SECONDS and each.waits for each in opened)
        return self._beat_seconds / 10 if is_stale else 0.0

    def unsaved(self) -> int:
        """How many entries were accepted and are in no head yet."""
        return sum(each.unsaved for opened in list(self._open) for each in opened.open_files())

    def finish(self, check: Callable[[], None]) -> None:
        """Gives back all slices, whose files are through. ``check`` raises an error if the work is to end."""
        while opened := list(self._open):
            check()
            for each in opened:
                if not each.is_late:
                    self.finish_soon(each)
            self._crew.sleep(0.002)
        check()

    def wait(self) -> None:
        """Waits for all that was started."""
        while self._jobs:
            self._jobs.pop().result()

    def _keep_saving(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            try:
                for opened in list(self._open):
                    opened.is_late = False
                    self._look_at(opened)
                self._on_beat()
            except CurrentsError as error:
                self._fail(error)
            except Exception as error:
                # Without a beat nothing would be saved, and nobody would notice that nothing is sent.
                log.exception("unexpected failure of the beat")
                self._fail(CurrentsError(f"unexpected failure of the beat: {error!r}; please report this"))

    def _look_at(self, opened: OpenSlice) -> None:
        if opened.is_through and self.finish_soon(opened):
            return
        if not opened.is_through and opened.through() and opened.begin_to_settle():
            self._start(self._settle, opened)
        elif not opened.is_saving and (opened.waits or opened.claim.age > _IDLE_SECONDS):
            opened.is_saving = True
            self._start(self._save, opened)

    def _save(self, opened: OpenSlice) -> None:
        try:
            with opened.saving:
                if opened in self._open:
                    self._swap(opened, {})
        finally:
            opened.is_saving = False

    def _settle(self, opened: OpenSlice) -> None:
        try:
            files = _to_park(opened, opened.through)
            pages = self._parked(opened, files)
            with opened.saving:
                if opened in self._open:
                    self._swap(opened, {each.file.id: pages[each.file.id] for each in files})
        finally:
            opened.is_settling = False

    def _finish(self, opened: OpenSlice) -> None:
        try:
            pages = self._parked(opened, _to_park(opened, opened.open_files))
            with opened.saving:
                if opened not in self._open:
                    return
                # It stays marked as settling: nobody may finish it again.
                if self._swap(opened, pages, finish=True):
                    del self._open[opened]
                    return
            self._tidy(opened)
        except BaseException:
            opened.is_settling = False
            raise

    def _tidy(self, opened: OpenSlice) -> None:
        """Gives a slice back, tidied up if the store lets it: otherwise that is left to a later task.

        The beat goes on while its pages are merged, and while those of before are removed.
        """
        claim = opened.claim
        try:
            tidied = claim.tidied()
        except TransientError as error:
            log.warning("%s: its pages stay as they are: %s", opened.place.name, error)
            tidied = claim.head
        try:
            with opened.saving:
                if opened not in self._open:
                    return
                unnamed = claim.tidy(tidied)
            claim.pages.remove(unnamed)
        except FencedError:
            raise
        except TransientError as error:
            log.warning("%s: some of its pages are left over: %s", opened.place.name, error)
        with opened.saving:
            if opened in self._open:
                claim.swap(release=True)
                del self._open[opened]

    def _parked(self, opened: OpenSlice, files: Sequence[OpenFile]) -> Mapping[str, tuple[str, ...]]:
        try:
            return self._park(opened, files)
        except TransientError as error:
            # The store's client has tried for long enough, and settling would begin all over.
            self._fail(error)
            raise

    def _give_all_back(self, left: Sequence[OpenSlice]) -> list[Exception | None]:
        """Gives back slices at the same time, as far as there is room for threads. Returns their faults."""
        jobs, faults = [], []
        for opened in left:
            try:
                jobs.append(self._crew.start(self._give_back, opened))
            except TransientError:
                faults.append(self._give_back(opened))
        return [*faults, *(job.result() for job in jobs)]

    def _give_back(self, opened: OpenSlice) -> Exception | None:
        """Gives back a slice that is not through. Returns the fault if the last checkpoint failed."""
        began = self._crew.seconds()
        while True:
            try:
                self._save_last(opened)
                return None
            except CurrentsError as error:
                may_pass = isinstance(error, TransientError) and not isinstance(error, FencedError)
                is_late = self._crew.seconds() - began >= _LAST_SECONDS
                if not may_pass or is_late or self._hurried.wait(self._beat_seconds):
                    log.warning("%s: the last checkpoint failed: %s", opened.place.name, error)
                    return error
            except Exception as error:
                # The others must be given back all the same.
                log.exception("%s: unexpected failure of the last checkpoint", opened.place.name)
                return error

    def _save_last(self, opened: OpenSlice) -> None:
        with opened.saving:
            if opened in self._open:
                # Files with letters are left to the next task: to park them might take too long.
                settled = takewhile(lambda each: each.asked is None and not each.letters, opened.through())
                pages = {each.file.id: each.before.letters if each.fault else () for each in settled}
                self._swap(opened, pages, release=True)
                del self._open[opened]

    def _swap(
        self, opened: OpenSlice, settled: Mapping[str, tuple[str, ...]], *, finish: bool = False, release: bool = False
    ) -> bool:
        """Replaces the head by what is known now; ``settled`` has the pages of letters of the files to settle.

        Returns whether the slice was given back.
        """
        # What a swap without an answer settled may be settled by now: it must not be undone.
        opened.settling = settled = {**opened.settling, **settled}
        files = opened.open_files()
        through = [each for each in files if each.file.id in settled]
        told = [each.ended(settled[each.file.id]) if each.file.id in settled else each.news() for each in files]
        changed = [(each, *one) for each, one in zip(files, told, strict=True) if each in through or one[1]]
        gone = list(opened.gone)
        states = [*gone, *(state for _, state, _ in changed)]
        ids = [each.ids(accepted) for each, _, accepted in changed if accepted]
        if finish:
            release = opened.claim.finish(states, ids)
        else:
            opened.claim.swap(states, ids, release=release)
        opened.gone = opened.gone[len(gone) :]
        for each, state, accepted in changed:
            each.confirmed(state, accepted)
        opened.settled(through)
        # Last, since whoever is about to park looks at it first, and at the files then.
        opened.settling = {}
        for each, state, _ in changed:
            if each in through:
                self._settled(each, state)
                each.close()
        return release

    def _start(self, step: Callable[[OpenSlice], None], opened: OpenSlice) -> None:
        self._jobs = [job for job in self._jobs if not job.done()]
        self._jobs.append(self._crew.start(self._guarded, step, opened))

    def _guarded(self, step: Callable[[OpenSlice], None], opened: OpenSlice) -> None:
        """Runs a step on a slice. A fault that does not pass ends the delivery: the thread that sends raises it."""
        try:
            with opened.claim.reading():
                step(opened)
        except FencedError as error:
            self._fail(error)
        except TransientError as error:
            if opened.claim.age > _PATIENCE_SECONDS:
                self._fail(error)
            else:
                # The next beat tries again, and says no more of it.
                opened.is_late = True
                if opened not in self._told_late:
                    log.warning("%s: the checkpoint is late: %s", opened.place.name, error)
                self._told_late.add(opened)
        except CurrentsError as error:
            self._fail(error)
        except Exception as error:
            log.exception("%s: unexpected failure", opened.place.name)
            self._fail(CurrentsError(f"{opened.place.name}: {error!r}; please report this"))
        else:
            self._told_late.discard(opened)


def _to_park(opened: OpenSlice, files: Callable[[], list[OpenFile]]) -> list[OpenFile]:
    """Those of some files that no swap was to settle: what waits for its answer has its letters.

    That is looked at before the files, since another swap may close them meanwhile.
    """
    settling = opened.settling
    return [each for each in files() if each.file.id not in settling]
