"""A local S3 that is cheap enough to be left out of account: buckets in memory behind as much of S3's API as is used.

It runs in a process of its own, counts the requests, and can be filled with many small files without a request for
each. moto answers some 250 requests a second; this one several thousand. It takes events as well: other than nginx, it
answers for as many entries as a request has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from io import BytesIO
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn

from benchmarks.sink import running, taken
from currents_aws.memory import MemoryObjects
from currents_core.errors import ConflictError
from tests.tools.sample import make_rows
from tests.tools.up import free_port

PAGE = 1_000
LISTING, READING, WRITING = "LIST", "GET", "PUT"
# In the ids of the template of a file, where its number goes.
_NUMBER = "0123456789abcdef-number-"


@dataclass(frozen=True)
class Fill:
    """Small files: so many of each event type and hour, of so many rows each, below a prefix of a bucket."""

    bucket: str
    prefix: str
    types: Sequence[str]
    hours: Sequence[str]
    files: int
    rows: int

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """The key and the content of each, no two of which share an id within an event type and hour."""
        for event_type in self.types:
            template = _template(event_type, self.hours[0], self.rows)
            for hour in self.hours:
                folder = f"{self.prefix}event_type={event_type}/date={hour}/"
                for number in range(self.files):
                    own = f"{number:0{len(_NUMBER)}}".encode()
                    yield f"{folder}{number:08}.parquet", template.replace(_NUMBER.encode(), own)


def _template(event_type: str, hour: str, rows: int) -> bytes:
    """A file in which the number can be replaced in place: nothing is compressed, and nothing tells of values."""
    table = make_rows(event_type, rows, hour=hour)
    ids = pa.array([f"{_NUMBER}{row:012}" for row in range(rows)])
    table = table.set_column(table.schema.get_field_index("id"), "id", ids)
    sink = BytesIO()
    pq.write_table(table, sink, compression="NONE", use_dictionary=False, write_statistics=False)
    return sink.getvalue()


@dataclass(frozen=True)
class LocalStore:
    """A running store."""

    url: str

    def fill(self, fill: Fill) -> None:
        """Puts files, which counts as no request."""
        self._ask("POST", "/_fill", json.dumps(asdict(fill)))

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Puts one file."""
        httpx.put(f"{self.url}/{bucket}/{key}", content=body, trust_env=False, timeout=300).raise_for_status()

    def counts(self) -> Counter[str]:
        """The requests so far: LIST, GET (and HEAD), PUT, DELETE."""
        return Counter(self._ask("GET", "/_counts").json())

    def _ask(self, method: str, path: str, content: str | None = None) -> httpx.Response:
        url = f"{self.url}{path}"
        return httpx.request(method, url, content=content, trust_env=False, timeout=300).raise_for_status()


@contextmanager
def store(seconds: float = 0.0) -> Iterator[LocalStore]:
    """A store that answers ``seconds`` after it has read a request, until the end of the block."""
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.store", "--port", str(port), "--seconds", str(seconds)], port):
        yield LocalStore(f"http://127.0.0.1:{port}")


@dataclass(frozen=True)
class Request:
    """A request of S3's API, with lower-case headers."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """What it is billed as."""
        if self.method == "GET" and not self.key:
            return LISTING
        return READING if self.method == "HEAD" else self.method

    def header(self, name: str) -> str | None:
        """A header without quotes."""
        found = self.headers.get(name)
        return None if found is None else found.strip('"')


@dataclass(frozen=True)
class Answer:
    """An answer, whose headers come to those that all have."""

    status: int = 200
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()


_GONE = Answer(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")
_LATE = Answer(412, b"<Error><Code>PreconditionFailed</Code><Message>another version</Message></Error>")


class Buckets:
    """An ASGI application: the buckets, which are there once they are asked for, and the requests so far."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.requests = Counter[str]()
        self.buckets = defaultdict[str, MemoryObjects](MemoryObjects)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = bytearray(), True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        path = scope["raw_path"].decode()
        if path == "/":
            target = dict(scope["headers"]).get(b"x-amz-target", b"")
            answer = Answer(body=taken(target.decode(), body))
        elif path.startswith("/_"):
            answer = self._own(path, bytes(body))
        else:
            answer = await self._of_s3(scope, path, bytes(body))
        headers = [("content-length", str(len(answer.body))), ("date", _http_date(0.0)), *answer.headers]
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    def _own(self, path: str, body: bytes) -> Answer:
        if path == "/_counts":
            return Answer(body=json.dumps(self.requests).encode())
        fill = Fill(**json.loads(body))
        self.buckets[fill.bucket].contents.update(fill.bodies())
        return Answer()

    async def _of_s3(self, scope: Any, path: str, body: bytes) -> Answer:
        bucket, _, key = unquote(path).removeprefix("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = Request(scope["method"], bucket, key, query, headers, body)
        self.requests[request.kind] += 1
        if self.seconds:
            await asyncio.sleep(self.seconds)
        return self.answer(request)

    def answer(self, request: Request) -> Answer:
        """What S3 would answer."""
        objects = self.buckets[request.bucket]
        if request.kind == LISTING:
            return _folders(objects, request) if "delimiter" in request.query else _listed(objects, request)
        return {"GET": _read, "HEAD": _read, "PUT": _write, "DELETE": _delete}[request.method](objects, request)


def _read(objects: MemoryObjects, request: Request) -> Answer:
    version, wanted = objects.read_version(request.key), request.header("if-match")
    if version is None:
        return _GONE
    if wanted not in {None, version.etag}:
        return _LATE
    headers = [("etag", f'"{version.etag}"'), ("last-modified", _http_date(version.age))]
    if part := request.header("range"):
        first, last = map(int, part.removeprefix("bytes=").split("-"))
        return Answer(206, version.body[first : last + 1], headers)
    return Answer(200, version.body, headers)


def _write(objects: MemoryObjects, request: Request) -> Answer:
    if request.header("if-match") or request.header("if-none-match"):
        try:
            etag = objects.write_version(request.key, request.body, request.header("if-match"))
        except ConflictError:
            return _LATE
    else:
        objects.write(request.key, request.body)
        etag = objects.etag(request.key)
    return Answer(headers=[("etag", f'"{etag}"')])


def _delete(objects: MemoryObjects, request: Request) -> Answer:
    wanted = request.header("if-match")
    try:
        objects.delete_version(request.key, wanted) if wanted else objects.delete(request.key)
    except ConflictError:
        return _LATE
    return Answer(204)


def _listed(objects: MemoryObjects, request: Request) -> Answer:
    prefix, query = request.query.get("prefix", ""), request.query
    after = query.get("continuation-token") or query.get("start-after", "")
    found = list(islice(objects.objects(prefix, after), PAGE + 1))
    shown = found[:PAGE]
    more = f"<NextContinuationToken>{escape(shown[-1].key)}</NextContinuationToken>" if len(found) > PAGE else ""
    contents = "".join(
        f"<Contents><Key>{escape(each.key)}</Key><ETag>&quot;{each.etag}&quot;</ETag><Size>{each.size}</Size>"
        f"<LastModified>{_iso(each.age)}</LastModified></Contents>"
        for each in shown
    )
    return _result(f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{contents}")


def _folders(objects: MemoryObjects, request: Request) -> Answer:
    folders = objects.folders(request.query.get("prefix", ""))
    told = "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in folders)
    return _result(f"<IsTruncated>false</IsTruncated>{told}")


def _result(text: str) -> Answer:
    return Answer(body=f"<ListBucketResult>{text}</ListBucketResult>".encode())


def _time(age: float) -> datetime:
    return datetime.fromtimestamp(max(0.0, datetime.now(UTC).timestamp() - age), UTC)


def _http_date(age: float) -> str:
    return format_datetime(_time(age), usegmt=True)


def _iso(age: float) -> str:
    return f"{_time(age):%Y-%m-%dT%H:%M:%S}.000Z"


def serve(port: int, seconds: float) -> None:
    """Serves until it is terminated."""
    options: dict[str, Any] = {"log_level": "error", "server_header": False, "date_header": False, "lifespan": "off"}
    uvicorn.run(Buckets(seconds), host="127.0.0.1", port=port, timeout_keep_alive=600, **options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A local S3 for benchmarks")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.0)
    arguments = parser.parse_args()
    serve(arguments.port, arguments.seconds)
