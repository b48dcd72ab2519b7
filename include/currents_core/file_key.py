"""What the key of a Currents file says: its event type, its hour, and its other key=value folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


def place_of(file_id: str) -> str:
    """The part of a file's id that every version of the object has."""
    return file_id.partition("-")[0]


@dataclass(frozen=True)
class SourceFile:
    """One S3 object: the unit of the ledger. ``size`` is in bytes, ``etag`` as S3 gives it, without quotes."""

    bucket: str
    key: str
    etag: str
    size: int

    @cached_property
    def id(self) -> str:
        """A name for this very content at this very key: another ETag is another file, of the same ``place``."""
        return f"{self.place}-{hashlib.sha256(self.etag.encode()).hexdigest()[:12]}"

    @cached_property
    def place(self) -> str:
        """The part of ``id`` that stays when the object is written anew."""
        return hashlib.sha256(f"{self.bucket}\0{self.key}".encode()).hexdigest()[:24]

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """The key=value folders of the key; the deepest wins where a prefix repeats a name.

        Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents
        """
        names = (folder.partition("=") for folder in self.key.split("/")[:-1])
        return {name: value for name, equals, value in names if equals}

    @property
    def folder(self) -> str:
        """The key up to, and without, its last slash."""
        return self.key.rpartition("/")[0]

    @property
    def dataset(self) -> str:
        """The folder above its hour's, which stays the same from hour to hour."""
        return self.key.rpartition("/date=")[0]

    @property
    def event_type(self) -> str | None:
        """The event type that the key names, or None."""
        return self.folders.get("event_type")

    @property
    def hour(self) -> str:
        """The hour that the key names; discovery only finds files below such a folder."""
        return self.folders["date"]

    @property
    def uri(self) -> str:
        """`s3://bucket/key`, for messages."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def arn(self) -> str:
        """The ARN of the object, which entries carry as their resource."""
        return f"arn:aws:s3:::{self.bucket}/{self.key}"
