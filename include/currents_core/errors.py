"""The faults of an export, typed by what the caller does next.

    CurrentsError
    ├── SetupError        nothing works until somebody changes the setup: fail at once, do not retry
    ├── TransientError    the same call may work later: retry the task
    │   ├── ConflictError another writer changed the object first
    │   ├── FencedError   another task took the file over: stop at once
    │   ├── DroppedError  the destination dropped what it had accepted: that goes again
    │   └── StoppedError  the task was asked to stop
    ├── FileError         this file can't be read: deliver the others, then fail the task
    └── DeliveryError     the task delivered what it could, and some files are open: fail at once; a rerun resumes

Faults of single rows are data, not exceptions: see ``Rejection`` and ``DeadLetter``. A message names the place and the
remedy, and never contains a secret or a value from a record.
"""

from __future__ import annotations

import errno
import os

# A key has up to 1,024 bytes. This shows most keys whole, and both ends of any other.
_URI_LENGTH = 400
_MESSAGE_LENGTH = 2_000


def shown(text: str, most: int = _URI_LENGTH) -> str:
    """``text`` from a file or a key as a message may show it: printable, on one line, at most ``most`` characters.

    Line breaks, escape sequences of terminals, marks that turn the direction of text, and the like are escaped as in
    Python. Of a longer text both ends are kept, since the end of a key names the file.
    """
    if not text.isprintable():
        text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    half = most // 2
    return text if len(text) <= most else f"{text[: most - half - 1]}…{text[-half:]}"


class CurrentsError(Exception):
    """Base of every fault that this project raises on purpose. Its text is one line.

    ``uri`` names what the fault is about, such as `s3://bucket/key`, and begins the text; it is empty if the fault is
    not about a single thing. ``code`` is the error code of the service that answered, or empty.
    """

    def __init__(self, message: str, *, uri: str = "", code: str = "") -> None:
        uri = shown(uri)
        super().__init__(f"{uri}: {message}" if uri else message)
        self.message = message
        self.uri = uri
        self.code = code


class SetupError(CurrentsError):
    """A setting, permission or resource is wrong. The message says which, and what to do."""


class TransientError(CurrentsError):
    """The network or a service failed temporarily."""


class ConflictError(TransientError):
    """A conditional write found a different version of the object than the one it was to replace."""


class FencedError(TransientError):
    """Another task took over the lease of a file. This task must not write anything more about the file."""


class DroppedError(TransientError):
    """The destination may have dropped events since the last look. None of them counts as sent."""


class StoppedError(TransientError):
    """The task was told to stop, and did so after waiting for requests in flight."""


class FileError(CurrentsError):
    """One file can't be read: it is damaged, in another format, or has changed since it was listed."""

    def __init__(self, message: str, *, uri: str = "", code: str = "") -> None:
        # The message may repeat what the file says, such as the names of its columns.
        super().__init__(shown(message, _MESSAGE_LENGTH), uri=uri, code=code)


class DeliveryError(CurrentsError):
    """Some files were not delivered. The ledger lists those that were."""


def is_of_the_machine(error: BaseException) -> bool:
    """Whether a fault is one of the machine, such as a full disk: it says nothing of the file that was being read."""
    lacks = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
    if isinstance(error, OSError):
        return error.errno in lacks or _has_no_temporary_folder(error)
    return isinstance(error, MemoryError)


def _has_no_temporary_folder(error: OSError) -> bool:
    # Python's first look for a folder where it may write, on a disk that is full. No file is named, unlike where one is
    # missing.
    return isinstance(error, FileNotFoundError) and error.filename is None


def lack_of_machine(error: BaseException, uri: str) -> TransientError:
    """The fault of the machine ``error``, for which ``is_of_the_machine`` holds, as one line. ``uri`` was in work."""
    if isinstance(error, MemoryError):
        what = "out of memory"
    elif isinstance(error, OSError) and _has_no_temporary_folder(error):
        what = "no folder for temporary files can be written to, as on a full disk"
    else:
        what = os.strerror(getattr(error, "errno", 0) or 0)
    return TransientError(f"this worker failed: {what}; mend that, then clear the task to resume", uri=uri)
