from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config

from currents_aws.s3 import S3Objects
from currents_core.errors import ConflictError, FileError, SetupError, TransientError
from tests.tools.local_aws import LocalAws


def client(**settings: Any) -> Any:
    return boto3.Session().client(
        "s3", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}), **settings
    )


def test_a_listing_pages_through_more_than_a_thousand_objects(aws: LocalAws, bucket: str) -> None:
    store = S3Objects(aws.client("s3"), bucket)
    for number in range(1005):
        store.write(f"many/{number:04}", b"x")
    assert [each.key for each in store.objects("many/")] == [f"many/{number:04}" for number in range(1005)]


def test_a_missing_bucket_is_named_with_the_remedy(aws: LocalAws) -> None:
    store = S3Objects(aws.client("s3"), "no-such-bucket")
    for call in (lambda: list(store.objects("x/")), lambda: store.write("x", b""), lambda: store.folders("x/")):
        with pytest.raises(
            SetupError, match=r"s3://no-such-bucket/x.*NoSuchBucket.*create the bucket or correct its name"
        ):
            call()


def test_missing_credentials_are_told_as_such(aws: LocalAws, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(
        SetupError, match=rf"s3://{bucket}/k: read failed: Unable to locate credentials; check the credentials"
    ):
        S3Objects(client(), bucket).read("k")


def test_a_server_that_can_not_be_reached_is_a_passing_fault() -> None:
    store = S3Objects(
        client(endpoint_url="http://127.0.0.1:9", aws_access_key_id="x", aws_secret_access_key="hush"), "bucket"
    )
    with pytest.raises(TransientError, match="check the network, the region and the endpoint") as raised:
        store.download("k", "e", BytesIO())
    assert "hush" not in str(raised.value)


def test_an_archived_object_is_a_fault_of_that_file_alone(aws: LocalAws, bucket: str) -> None:
    client = aws.client("s3")
    client.put_object(Bucket=bucket, Key="a.parquet", Body=b"x", StorageClass="GLACIER")
    store = S3Objects(client, bucket)
    [listed] = store.objects("a")
    with pytest.raises(FileError, match=rf"s3://{bucket}/a\.parquet: it is archived, .*restore it in S3"):
        store.download(listed.key, listed.etag, BytesIO())


def test_a_swap_that_met_with_another_operation_is_one_that_came_too_late() -> None:
    body = b"<Error><Code>OperationAborted</Code><Message>A conflicting operation is in progress.</Message></Error>"
    with answering(f"Content-Length: {len(body)}", body, "409 Conflict") as store, pytest.raises(ConflictError):
        store.write_version("k", b"x", None)


@contextmanager
def answering(head: str, body: bytes, status: str = "200 OK") -> Iterator[S3Objects]:
    """A bucket whose server answers every request with this, and closes the connection."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + body)
            self.close_connection = True

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
        yield S3Objects(client(endpoint_url=f"http://127.0.0.1:{server.server_port}", **keys), "bucket")
        server.shutdown()


def test_what_is_apart_is_hidden_from_whoever_looks_for_files(aws: LocalAws, bucket: str) -> None:
    keys = ["in/event_type=a/1", "in/state/orders/slices/1", "in/state/orders/more/1", "in/state/other/slices/1"]
    store = S3Objects(aws.client("s3"), bucket, apart=["in/state/orders/slices/", "in/state/orders/plans/"])
    for key in keys:
        store.write(key, b"x")
    assert store.folders("in/") == ["in/event_type=a/", "in/state/"]
    assert store.folders("in/state/orders/") == ["in/state/orders/more/"]
    etags = {each.key: each.etag for each in store.objects("")}
    assert [key for key in keys if store.has_version(key, etags[key])] == [keys[0], *keys[2:]]


def test_an_object_that_arrives_in_part_is_a_passing_fault() -> None:
    with answering("Content-Length: 1000", b"half of it") as store:
        told = r"s3://bucket/k: read failed: the answer did not arrive whole \(IncompleteReadError\)"
        with pytest.raises(TransientError, match=told):
            store.download("k", None, BytesIO())
        with pytest.raises(TransientError, match="s3://bucket/k: read failed: "):
            store.read("k")


@pytest.mark.parametrize("body", [b"<ListBucketResult><Contents><Key>secr", b"<html>Bad gateway"])
def test_a_listing_that_is_cut_off_or_no_listing_is_a_passing_fault(body: bytes) -> None:
    with answering(f"Content-Type: application/xml\r\nContent-Length: {len(body)}", body) as store:
        with pytest.raises(TransientError, match=r"s3://bucket/in/: list failed: ") as raised:
            list(store.objects("in/"))
        assert "secr" not in str(raised.value)


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_partition_is_that_of_the_region(region: str, partition: str) -> None:
    assert S3Objects(boto3.Session().client("s3", region_name=region), "b").partition == partition
