"""The faults of an export, typed by what the caller does next.

    CurrentsError
    ├── SetupError        nothing can work until somebody changes the set-up: fail at once, do not retry
    ├── TransientError    the same call may work later: retry the task
    │   ├── ConflictError somebody else wrote the object meanwhile
    │   ├── FencedError   another task took the file over: stop at once
    │   └── StoppedError  somebody asked the task to stop
    ├── FileError         this file can't be read: deliver the others, then fail the task
    └── DeliveryError     the task did what it could and some files are open: fail at once; a rerun resumes

Faults of single rows are data and not exceptions: see ``Rejection`` and ``DeadLetter``. Messages name the place and
the remedy, and never hold a secret or a value of a record.
"""

from __future__ import annotations


class CurrentsError(Exception):
    """Base of every fault that this project raises on purpose. Its text is one line.

    ``uri`` is what the fault is about, such as `s3://bucket/key`, and stands first in the text; empty where it is about
    no single thing. ``code`` is the error code that a service answered with, if any.
    """

    def __init__(self, message: str, *, uri: str = "", code: str = "") -> None:
        super().__init__(f"{uri}: {message}" if uri else message)
        self.message = message
        self.uri = uri
        self.code = code


class SetupError(CurrentsError):
    """A setting, a permission or a resource is wrong; the message says which and what to do."""


class TransientError(CurrentsError):
    """The network or a service failed in a way that passes."""


class ConflictError(TransientError):
    """A conditional write found another version than the one it was to replace."""


class FencedError(TransientError):
    """The lease of a file went to another task while this one was away; nothing more of it may be written."""


class StoppedError(TransientError):
    """The task was told to stop, and did after what was under way had ended."""


class FileError(CurrentsError):
    """One file can't be read: damaged, of another format, or changed since it was listed."""


class DeliveryError(CurrentsError):
    """Some files of the work were not delivered; the ledger holds those that were."""
