"""Where the state of a connector lies in its bucket: the only place where its keys are composed and parsed.

    <root>ledger/date=<hour>/leases/<file id>.json      who delivers a file, or did, and which rows are acknowledged
    <root>ledger/date=<hour>/done/<file id>.json        delivered; the account of its rows
    <root>ledger/date=<hour>/failed/<file id>.json      can't be read; why
    <root>ids/date=<hour>/event_type=<type>/<file id>   fingerprints of the ids that a file brought
    <root>dead_letters/date=<hour>/<file id>.jsonl.gz   the records of a file that could not go
    <root>plans/date=<hour>/<hash of the content>.json  the files of a shard
    <root>manifests/date=<hour>.json                    the account of an hour

The root is `<state prefix><connector>/`. Below it, `replays/<run>/` and `redrives/<run>/` are roots of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from currents_core.file_key import SourceFile

State = Literal["leases", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys below ``root``, which is empty or ends in a slash. Names of folders end in a slash as well."""

    root: str = ""

    def of_run(self, books: Literal["replays", "redrives"], run_id: str) -> Layout:
        """The books that a replay or a redrive has of its own, below the name of its Airflow run."""
        return Layout(f"{self.root}{books}/{run_name(run_id)}/")

    @property
    def planned(self) -> Layout:
        """The copies of the dead letters that a redrive took."""
        return Layout(f"{self.root}planned/")

    def records(self, hour: str, state: State) -> str:
        """The folder of the ledger's records of an hour that say the same of their files."""
        return f"{self.root}ledger/date={hour}/{state}/"

    def record(self, hour: str, state: State, file_id: str) -> str:
        """The ledger's record of a file."""
        return f"{self.records(hour, state)}{file_id}.json"

    def ids(self, hour: str, event_type: str) -> str:
        """The folder of the ids that files brought to an event type and hour."""
        return f"{self.root}ids/date={hour}/event_type={event_type}/"

    def ids_of(self, file: SourceFile, event_type: str) -> str:
        """The ids that a file brought to an event type."""
        return f"{self.ids(file.hour, event_type)}{file.id}"

    def letters(self, hour: str) -> str:
        """The folder of the dead letters of an hour."""
        return f"{self.root}dead_letters/date={hour}/"

    def letters_of(self, file: SourceFile) -> str:
        """The dead letters of a file."""
        return f"{self.letters(file.hour)}{file.id}.jsonl.gz"

    def plan(self, hour: str, content_hash: str) -> str:
        """A planned shard."""
        return f"{self.root}plans/date={hour}/{content_hash}.json"

    def manifest(self, hour: str) -> str:
        """The manifest of an hour."""
        return f"{self.root}manifests/date={hour}.json"


def file_id_of(key: str) -> str:
    """The id of the file that a record, ids or dead letters belong to."""
    return key.rpartition("/")[2].partition(".")[0]


def run_name(run_id: str) -> str:
    """The id of an Airflow run as a folder's name: what S3 keys should not hold is replaced.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    return re.sub(r"[^0-9A-Za-z._-]", "_", run_id)
