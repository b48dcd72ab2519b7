"""The ids that were seen of a slice: those that were accepted before, and those that came up in this delivery."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from currents_core.books.id_pages import Fingerprints, IdPage, Ids, contains


class SeenIds:
    """A set of fingerprints: mapped pages, and a few sorted runs in memory.

    A Python set of ids would take five times the memory of a run.
    """

    def __init__(self, pages: Sequence[IdPage] = (), accepted: Ids | None = None) -> None:
        self._pages = pages
        self._runs: list[Fingerprints] = []
        if accepted is not None:
            self.add(accepted[:, :2])

    def add(self, found: Fingerprints) -> None:
        """Adds fingerprints, uint64 of shape (ids, 2)."""
        self.add_run(found[np.argsort(found[:, 0])])

    def contains(self, found: Fingerprints) -> npt.NDArray[np.bool_]:
        """Whether each fingerprint is in the set: takes uint64 of shape (ids, 2), returns bool of shape (ids,)."""
        seen = np.zeros(len(found), dtype=bool)
        for page in self._pages:
            seen |= page.contains(found)
        for run in self._runs:
            seen |= contains(run[:, 0], run[:, 1], found)
        return seen

    def new_among(self, prints: Fingerprints) -> tuple[npt.NDArray[np.bool_], Fingerprints]:
        """Which of some fingerprints, uint64 of shape (ids, 2), are new: bool of shape (ids,); and these in order.

        New is what is not in the set, and the first of its kind in ``prints``. They are not in the set before
        ``add_run`` has taken the second part of the answer.
        """
        new = ~self.contains(prints)
        order = np.argsort(prints[:, 0])
        hashes = prints[order, 0]
        if (hashes[1:] == hashes[:-1]).any():
            new &= ~pd.DataFrame(prints).duplicated().to_numpy()
        return new, prints[order[new[order]]]

    def add_run(self, run: Fingerprints) -> None:
        """Adds fingerprints in the order of their hashes. Runs of similar size are merged, so there are never many."""
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.concatenate([self._runs.pop(), run])
            run = run[np.argsort(run[:, 0])]
        if len(run):
            self._runs.append(run)
