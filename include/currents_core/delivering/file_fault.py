"""Tells a fault of a file from one of the machine, when reading or preparing it fails."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb

from currents_core.errors import CurrentsError, FileError, is_of_the_machine, lack_of_machine


def fault_of_file(error: Exception, uri: str) -> Exception:
    """A FileError for whatever reading or preparing a file raised; other faults that are known stay as they are."""
    if isinstance(error, FileError) and not error.uri:
        return FileError(f"{error}; replace or remove it", uri=uri)
    if isinstance(error, CurrentsError):
        return error
    if is_of_the_machine(error):
        return lack_of_machine(error, uri)
    # Its own text may contain values from records.
    *_, (place, line) = walk_tb(error.__traceback__)
    what = f"{type(error).__name__} at {Path(place.f_code.co_filename).name}:{line}"
    return FileError(f"can't be read or prepared ({what}); replace or remove it", uri=uri)
