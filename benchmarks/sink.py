"""Local EventBridges that take everything: nginx with canned answers, and one that answers after a while.

Sending is what is measured, so they have to be cheaper than any sender. nginx can't wait; the one that does is a small
server on asyncio. Both run in processes of their own and end with the block that started them.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import cbor2

from tests.tools.up import free_port

ENTRIES, PARTNER_ENTRIES, CUSTOM_ENTRIES = 10, 20, 100
EVENT = '{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"}'
ANSWER, PARTNER_ANSWER = (
    f'{{"FailedEntryCount":0,"Entries":[{",".join([EVENT] * entries)}]}}' for entries in (ENTRIES, PARTNER_ENTRIES)
)
# What is told before anything is sent, by the target of the question. That to STS has none.
TOLD = {
    "AWSEvents.ListPartnerEventSourceAccounts": (
        '{"PartnerEventSourceAccounts":[{"Account":"123456789012","CreationTime":1,"State":"ACTIVE"}]}'
    ),
    "AWSEvents.DescribeEventBus": '{"Name":"bus","Arn":"arn:aws:events:us-east-1:123456789012:event-bus/bus"}',
    "ServiceQuotasV20190624.GetServiceQuota": '{"Quota":{"Value":10000.0}}',
    "": (
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/benchmark</Arn>"
        "<UserId>1</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    ),
}
_PUBLISHED = {"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860", "SequenceNumber": "1", "SuccessCode": "PUBLISHED"}
CUSTOM_ANSWER = cbor2.dumps({"FailedEntryCount": 0, "Entries": [_PUBLISHED] * CUSTOM_ENTRIES})
START_SECONDS = 60

_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    client_max_body_size 2m;
    client_body_buffer_size 2m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/x-amz-json-1.1;
    map $http_x_amz_target $answer {{
        default '{answer}';
        AWSEvents.PutPartnerEvents '{partner_answer}';
        {told}
    }}
    server {{
        listen 127.0.0.1:{port}{tls};
        location /service/ {{ return 405; }}
        # nginx has no other way to answer a POST with a file, and a longer answer must be one.
        error_page 405 =200 /custom;
        location = /custom {{ root {folder}; }}
        location / {{ return 200 $answer; }}
    }}
}}
"""
_TLS = """ ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem"""


@dataclass(frozen=True)
class Sink:
    """A running sink: its address and process, and the certificate to trust, empty where it speaks plain HTTP."""

    url: str
    certificate: str = ""
    process: int = 0


@contextmanager
def sink(*, tls: bool = False) -> Iterator[Sink]:
    """nginx, on a free port of loopback. Exits with what to install where there is no nginx."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not nginx:
        sys.exit("nginx is needed to take the requests: install it, such as by `apt-get install nginx-light`")
    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        if tls:
            _make_certificate(folder)
        secure = _TLS.format(folder=folder) if tls else ""
        config = folder / "nginx.conf"
        # nginx reads it as another user, if it is started by root.
        folder.chmod(0o755)
        (folder / "custom").write_bytes(CUSTOM_ANSWER)
        told = " ".join(f"'{target}' '{answer}';" for target, answer in TOLD.items())
        answers = {"answer": ANSWER, "partner_answer": PARTNER_ANSWER, "told": told}
        config.write_text(_CONFIG.format(folder=folder, port=port, tls=secure, **answers))
        with running([nginx, "-p", name, "-e", f"{name}/error.log", "-c", str(config)], port) as process:
            yield (
                Sink(f"https://localhost:{port}", f"{name}/certificate.pem", process)
                if tls
                else Sink(f"http://127.0.0.1:{port}", process=process)
            )


@contextmanager
def delayed(seconds: float) -> Iterator[Sink]:
    """A sink that answers ``seconds`` after it has read a request."""
    port = free_port()
    with running(
        [sys.executable, "-m", "benchmarks.sink", "--port", str(port), "--seconds", str(seconds)], port
    ) as process:
        yield Sink(f"http://127.0.0.1:{port}", process=process)


@contextmanager
def counting() -> Iterator[Sink]:
    """A sink of classic buses that answers for as many entries as a request has: nginx can't, delayed ones don't."""
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.sink", "--port", str(port), "--counts"], port) as process:
        yield Sink(f"http://127.0.0.1:{port}", process=process)


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A server in a process of its own, until the end of the block. Exits where it does not listen in time.

    Yields the number of its process.
    """
    process = subprocess.Popen(command)
    try:
        _wait_for(port, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    sys.exit(f"{process.args!r} did not start within {START_SECONDS} seconds")


def _make_certificate(folder: Path) -> None:
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(["openssl", "req", "-x509", *kind, *files, *names], check=True, capture_output=True)


class Late(asyncio.Protocol):
    """Reads requests one after another, and answers each after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._missing = 0
        self._head = b""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
        self._answer = (head + ANSWER).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Counts down what is missing of a request; senders here wait for an answer before they send the next."""
        if not self._missing:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._missing = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self._head, data = b"", body
        self._missing -= len(data)
        if not self._missing:
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, self._answer)


class Counting(asyncio.Protocol):
    """Reads requests one after another, and answers each at once, for as many entries as it has."""

    def __init__(self) -> None:
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answers a request once it is whole; senders here wait for an answer before they send the next."""
        self._read += data
        end = self._read.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        lines = (line.lower().partition(b": ") for line in bytes(self._read[:end]).split(b"\r\n"))
        head = {name: value for name, _, value in lines}
        if len(self._read) - end < int(head.get(b"content-length", b"0")):
            return
        body = taken(head.get(b"x-amz-target", b"").decode(), self._read[end:])
        self._read.clear()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


_TOLD = {target.lower(): answer.encode() for target, answer in TOLD.items()}


def taken(target: str, body: bytes | bytearray) -> bytes:
    """What EventBridge, STS and Service Quotas would answer to a request with this target, in whatever case."""
    if (told := _TOLD.get(target.lower())) is not None:
        return told
    # Within a detail, a quotation mark before a colon is escaped.
    results = ",".join([EVENT] * body.count(b'"DetailType":'))
    return f'{{"FailedEntryCount":0,"Entries":[{results}]}}'.encode()


async def serve(port: int, make: Callable[[], asyncio.Protocol]) -> None:
    """Serves until it is terminated."""
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A sink that answers after a while")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--counts", action="store_true", help="answer at once, for as many entries as a request has")
    arguments = parser.parse_args()
    protocol: Callable[[], asyncio.Protocol] = Counting if arguments.counts else partial(Late, arguments.seconds)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(arguments.port, protocol))
    else:
        uvloop.run(serve(arguments.port, protocol))
