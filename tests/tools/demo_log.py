"""What the tasks of a DAG run told, found in the log of Airflow's command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

WIDTH = 80
_RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\dT\d\d:\d\d)", re.MULTILINE)
_TASK = re.compile(r"\[DAG TEST\] starting task_id=(\S+)")
_TOLD = re.compile(
    r"\S+ \[(?P<level>\w+) *\] (?P<text>.*?) \[airflow\.task\.operators\.currents_airflow\..*\] loc=(?!sensor\.py)\S+$",
    re.DOTALL | re.MULTILINE,
)


class Told(NamedTuple):
    """What a task logged; ``text`` may have several lines."""

    task: str
    level: str
    text: str

    def lines(self) -> Iterator[str]:
        """The text, indented, in lines of at most 80 characters where no word of it is longer."""
        for line in map(str.strip, self.text.splitlines()):
            yield from wrap(
                line,
                WIDTH,
                initial_indent="  ",
                subsequent_indent="     " if line[:1].isdigit() else "  ",
                break_long_words=False,
                break_on_hyphens=False,
            )


def told_in(log: Path, *, after: int = 0) -> list[Told]:
    """What this project's operators logged, in order; the first ``after`` bytes of the log are left out."""
    text = log.read_bytes()[after:].decode("utf-8", "replace") if log.exists() else ""
    return list(_told(text))


def _told(text: str) -> Iterator[Told]:
    task = ""
    for record in map(str.strip, _RECORD.split(text)):
        if started := _TASK.search(record):
            task = started[1]
        elif found := _TOLD.match(record):
            yield Told(task, found["level"], found["text"].strip())
