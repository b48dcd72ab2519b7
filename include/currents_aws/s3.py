"""One S3 bucket behind the core's port for object stores."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from currents_aws.aws_errors import AWS_ERRORS, code_of, translate
from currents_core.errors import ConflictError, FileError, TransientError
from currents_core.ports import CHANGED, StoredObject, Version

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# The error codes of a conditional write that came too late. NoSuchKey is for an object that was removed.
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "OperationAborted", "412", "409")
_ARCHIVED = "it is archived, and can't be read; restore it in S3, then run its hour again"


class S3Objects:
    """The objects of ``bucket``, through a boto3 client of the service `s3`. Safe to share between threads.

    ``swapping`` is the client of conditional writes: one that tries only once, and not for long. What is in folders of
    ``apart`` is hidden from whoever looks for folders or versions. Any method may raise SetupError or TransientError,
    whose text names the bucket and the key.
    """

    def __init__(
        self, client: S3Client, bucket: str, swapping: S3Client | None = None, apart: Iterable[str] = ()
    ) -> None:
        self._client = client
        self._apart = tuple(apart)
        self._swapping = swapping or client
        self.bucket = bucket
        self.partition = client.meta.partition

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix`` and comes after ``after``, in the order of the keys.

        It takes one request per thousand, and none for those that nobody asks for. The ages are what S3 says of the
        time of its answer and of the last change, both to the second.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        with self._faults("list failed", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, StartAfter=after
            )
            for page in pages:
                now = _answered_at(page)
                for each in page.get("Contents", ()):
                    age = (now - each["LastModified"]).total_seconds()
                    yield StoredObject(each["Key"], each["ETag"].strip('"'), each["Size"], age)

    def folders(self, prefix: str) -> list[str]:
        """The folders one level below ``prefix``, as whole prefixes that end in a slash."""
        paginator = self._client.get_paginator("list_objects_v2")
        with self._faults("list failed", prefix):
            pages = paginator.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
            found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())]
        return [each for each in found if not each.startswith(self._apart)]

    def read(self, key: str) -> bytes | None:
        """The content, or None if there is no such object."""
        with self._faults("read failed", key):
            try:
                return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise

    def read_part(self, key: str, start: int, size: int) -> bytes | None:
        """``size`` bytes of the content from ``start`` on, or None if there is no such object.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        with self._faults("read failed", key):
            try:
                part = f"bytes={start}-{start + size - 1}"
                return self._client.get_object(Bucket=self.bucket, Key=key, Range=part)["Body"].read()
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise

    def write(self, key: str, body: bytes) -> None:
        """Writes the whole object. Its content type follows from the ending of its key."""
        with self._faults("write failed", key):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=_content_type(key))

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Writes the whole object from an open file, in one request, which takes up to 5 GB.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """
        with self._faults("write failed", key):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def read_version(self, key: str) -> Version | None:
        """The content with its ETag and its age, or None if there is no such object.

        The age is what S3 says of the time of its answer and of that of the last change, both to the second.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        with self._faults("read failed", key):
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key)
                age = (_answered_at(answer) - answer["LastModified"]).total_seconds()
                return Version(answer["Body"].read(), answer["ETag"], age)
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Writes the object if its ETag is still ``replaces``; None means that there must be no object yet.

        Returns the new ETag. Raises ConflictError if another writer was first.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        put = partial(self._swapping.put_object, Bucket=self.bucket, Key=key, Body=body)
        with self._faults("write failed", key):
            try:
                return (put(IfNoneMatch="*") if replaces is None else put(IfMatch=replaces))["ETag"]
            except ClientError as error:
                if code_of(error) in _CONFLICTS:
                    raise ConflictError("another writer was first", uri=self._uri(key), code=code_of(error)) from error
                raise

    def has_version(self, key: str, etag: str) -> bool:
        """Whether the object is there now, with this ETag.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        if key.startswith(self._apart):
            return False
        with self._faults("read failed", key):
            try:
                self._client.head_object(Bucket=self.bucket, Key=key, IfMatch=f'"{etag}"')
            except ClientError as error:
                if code_of(error) in ("404", "NoSuchKey", "PreconditionFailed", "412"):
                    return False
                raise
            return True

    def delete(self, key: str) -> None:
        """Removes the object, if there is one."""
        with self._faults("delete failed", key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def delete_version(self, key: str, etag: str) -> None:
        """Removes the object if it has this ETag. Raises ConflictError if there is another version.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
        """
        with self._faults("delete failed", key):
            try:
                self._client.delete_object(Bucket=self.bucket, Key=key, IfMatch=f'"{etag}"')
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return
                if code_of(error) in _CONFLICTS:
                    raise ConflictError("another writer was first", uri=self._uri(key), code=code_of(error)) from error
                raise

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        """Copies the object into an open file, in one request.

        Raises FileError if it is gone, if its ETag is no longer ``etag``, or if it is archived; None stands for any
        ETag.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_Errors
        """
        get = partial(self._client.get_object, Bucket=self.bucket, Key=key)
        with self._faults("read failed", key):
            try:
                answer = get(IfMatch=etag) if etag else get()
                shutil.copyfileobj(answer["Body"], into, length=1 << 20)
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "PreconditionFailed", "412"):
                    raise FileError(CHANGED, uri=self._uri(key), code=code_of(error)) from error
                if code_of(error) == "InvalidObjectState":
                    raise FileError(_ARCHIVED, uri=self._uri(key), code=code_of(error)) from error
                raise

    @contextmanager
    def _faults(self, failure: str, key: str) -> Iterator[None]:
        try:
            yield
        except AWS_ERRORS as error:
            raise translate(error, failure, self._uri(key)) from error
        except HTTPError as error:
            raise TransientError(
                f"{failure}: the connection broke ({type(error).__name__}); clear the task to resume",
                uri=self._uri(key),
            ) from error

    def _uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def _content_type(key: str) -> str:
    # The second one is S3's own for what has no other.
    return "application/json" if key.endswith(".json") else "binary/octet-stream"


def _answered_at(answer: Mapping[str, Any]) -> datetime:
    """The time of an answer by S3's clock."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
