"""The layout of a connector's state in its bucket. Keys are composed and parsed only here.

    <root>ledger/date=<hour>/leases/<file id>.json      which task delivers or delivered a file, and its checkpoint
    <root>ledger/date=<hour>/done/<file id>.json        the file is delivered; the account of its rows
    <root>ledger/date=<hour>/failed/<file id>.json      the file can't be read; the reason
    <root>ids/date=<hour>/event_type=<type>/<file id>   fingerprints of the ids that a file brought
    <root>dead_letters/date=<hour>/<file id>.jsonl.gz   the records of a file that could not be sent
    <root>plans/date=<hour>/<hash of the content>.json  the files of a shard
    <root>manifests/date=<hour>.json                    the account of an hour

The root is `<state prefix><connector>/`. Below it, `replays/<run>/` and `redrives/<run>/` are roots of their own.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from currents_core.file_key import SourceFile

State = Literal["leases", "done", "failed"]

# The name of an event type in a key, at most. It leaves most of a key's 1,024 bytes to the prefix and the run.
_TYPE_BYTES = 200


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys below ``root``, which is empty or ends in a slash. Folders end in a slash as well."""

    root: str = ""

    def of_run(self, books: Literal["replays", "redrives"], run_id: str) -> Layout:
        """The layout of the books that a replay or a redrive keeps for itself, named after its Airflow run."""
        return Layout(f"{self.root}{books}/{run_name(run_id)}/")

    @property
    def planned(self) -> Layout:
        """The layout of the copies of the dead letters that a redrive took."""
        return Layout(f"{self.root}planned/")

    def records(self, hour: str, state: State) -> str:
        """The folder of the ledger's records of one kind for an hour."""
        return f"{self.root}ledger/date={hour}/{state}/"

    def record(self, hour: str, state: State, file_id: str) -> str:
        """The key of the ledger's record of one kind for a file."""
        return f"{self.records(hour, state)}{file_id}.json"

    def ids(self, hour: str, event_type: str) -> str:
        """The folder of the fingerprints that files brought to an event type and hour."""
        return f"{self.root}ids/date={hour}/event_type={type_name(event_type)}/"

    def ids_of(self, file: SourceFile, event_type: str) -> str:
        """The key of the fingerprints that a file brought to an event type."""
        return f"{self.ids(file.hour, event_type)}{file.id}"

    def letters(self, hour: str) -> str:
        """The folder of the dead letters of an hour."""
        return f"{self.root}dead_letters/date={hour}/"

    def letters_of(self, file: SourceFile) -> str:
        """The key of the dead letters of a file."""
        return f"{self.letters(file.hour)}{file.id}.jsonl.gz"

    def plan(self, hour: str, content_hash: str) -> str:
        """The key of a planned shard."""
        return f"{self.root}plans/date={hour}/{content_hash}.json"

    def manifest(self, hour: str) -> str:
        """The key of the manifest of an hour."""
        return f"{self.root}manifests/date={hour}.json"


def file_id_of(key: str) -> str:
    """The file id in the key of a record, of fingerprints or of dead letters."""
    return key.rpartition("/")[2].partition(".")[0]


def type_name(event_type: str) -> str:
    """An event type, which files and keys name as they like, as part of a folder's name: percent-encoded.

    A long one is hashed. The `!` before a hash keeps it apart from every encoded type.
    """
    encoded = quote(event_type, safe="")
    return encoded if len(encoded) <= _TYPE_BYTES else f"!{hashlib.sha256(event_type.encode()).hexdigest()}"


def run_name(run_id: str) -> str:
    """The id of an Airflow run as the name of a folder, with `_` for each character that S3 keys should not contain.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    return re.sub(r"[^0-9A-Za-z._-]", "_", run_id)
