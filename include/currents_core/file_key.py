"""What the key of a Currents file says: its event type, its hour, and its other key=value folders.

Source:
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/event_delivery_semantics
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from currents_core.errors import shown
from currents_core.hour import is_hour


class Slice(NamedTuple):
    """The files of one event type and hour, as their keys name them; the type is None where the keys name none.

    It is the unit of the ledger and of claims, and ids are compared within it.
    """

    hour: str
    event_type: str | None

    @property
    def name(self) -> str:
        """The slice in messages."""
        return f"{shown(self.event_type or 'unnamed', 200)} of {self.hour}"


@dataclass(frozen=True)
class SourceFile:
    """One version of an S3 object. ``size`` is in bytes; ``etag`` is S3's, without quotes."""

    bucket: str
    key: str
    etag: str
    size: int

    @cached_property
    def id(self) -> str:
        """The file id: a hash of bucket, key and ETag. A rewritten object is another file at the same ``place``."""
        return f"{self.place}-{hashlib.sha256(self.etag.encode()).hexdigest()[:12]}"

    @cached_property
    def place(self) -> str:
        """The part of ``id`` that stays the same when the object is rewritten: a hash of bucket and key."""
        return hashlib.sha256(f"{self.bucket}\0{self.key}".encode()).hexdigest()[:24]

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """The key=value folders of the key, by name. A folder `date=` that names no valid hour is not one of them.

        If a name appears twice, the folder wins that is deepest down to the hour, for these are the folders by which
        the file was found. Whoever writes below the hour can only add names.
        """
        names = (folder.partition("=") for folder in self.key.split("/")[:-1])
        found: dict[str, str] = {}
        for name, equals, value in names:
            if equals and (name != "date" or is_hour(value)) and not ("date" in found and name in found):
                found[name] = value
        return found

    @property
    def folder(self) -> str:
        """The key up to, but not including, its last slash."""
        return self.key.rpartition("/")[0]

    @property
    def dataset(self) -> str:
        """The folder that contains the `date=` folder, which is the same for every hour."""
        return f"/{self.key}".partition(f"/date={self.hour}/")[0][1:]

    @property
    def event_type(self) -> str | None:
        """The event type that the key names, or None if it names none."""
        return self.folders.get("event_type")

    @property
    def hour(self) -> str:
        """The hour that the key names, `YYYY-MM-DD-HH`. All discovered files have one; raises KeyError otherwise."""
        return self.folders["date"]

    @property
    def slice(self) -> Slice:
        """The slice that the key names."""
        return Slice(self.hour, self.event_type)

    @property
    def uri(self) -> str:
        """`s3://bucket/key`, for messages; see ``shown``."""
        return shown(f"s3://{self.bucket}/{self.key}")

    def arn(self, partition: str) -> str:
        """The ARN of the object, which entries carry as their resource. ``partition`` is `aws`, `aws-cn` or another.

        It has at most 1,110 characters, below the 2,048 that EventBridge takes, because S3 limits keys and names.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-arn-format.html
        """
        return f"arn:{partition}:s3:::{self.bucket}/{self.key}"


def event_type_of(key: str) -> str | None:
    """The event type that a key names, or None if it names none."""
    return SourceFile("", key, "", 0).event_type


def is_hidden(path: str) -> bool:
    """Whether engines write such a path beside files: a marker (`_SUCCESS`, `.crc`), or what is not finished yet.

    ``path`` is that below a source.

    Source: https://spark.apache.org/docs/latest/cloud-integration.html, which tells of `_temporary`
    """
    # To S3, `..` is a folder like any other, and no engine hides anything there.
    return any(part.startswith(("_", ".")) and part != ".." for part in path.split("/"))


def by_slice(files: Iterable[SourceFile]) -> dict[Slice, list[SourceFile]]:
    """The files by their slices, both in the order in which they came."""
    found: dict[Slice, list[SourceFile]] = {}
    for file in files:
        found.setdefault(file.slice, []).append(file)
    return found


def fingerprint(files: Iterable[SourceFile]) -> str:
    """The same text for the same files in any order: 24 hexadecimal digits of a hash of their ids."""
    return hashlib.sha256("".join(sorted(file.id for file in files)).encode()).hexdigest()[:24]
