"""What every transport promises, on real sockets; then what each has of its own."""

from __future__ import annotations

import base64
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from socketserver import StreamRequestHandler, ThreadingTCPServer
from statistics import median
from typing import Any

import boto3
import botocore
import botocore.session
import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from currents_aws.boto3_transport import Boto3Transport
from currents_aws.choose_transport import transport_for
from currents_aws.crt_settings import CrtSettings, crt_refusal
from currents_aws.crt_transport import CrtTransport
from currents_aws.transport import Answer, NoAnswer, Transport
from currents_core.errors import CurrentsError, SetupError
from tests.tools.local_aws import LocalAws

Outcome = Answer | NoAnswer | CurrentsError
Make = Callable[..., Transport]
Reply = tuple[int, dict[str, str], bytes]

WAIT = 60
TAKEN = b'{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}'
ENTRY: Mapping[str, Any] = {
    "EventBusName": "bus",
    "Source": "s",
    "DetailType": "t",
    "Detail": '{"a":"é😀"}',
    "Time": 1_795_420_801,
}
BODY = orjson.dumps({"Entries": [ENTRY]})


@dataclass
class Seen:
    """A request as a server saw it."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: int


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def accept(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, 200, TAKEN)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def late(handler: BaseHTTPRequestHandler, seconds: float = 1.0) -> None:
    time.sleep(seconds)
    answer(handler, 200, TAKEN)


@dataclass
class Service:
    """An HTTP server that answers as ``reply`` does, and remembers what it was sent."""

    url: str = ""
    reply: Callable[[Any], None] = accept
    seen: list[Seen] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients of these tests leave as they like."""


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.body = self.rfile.read(int(self.headers["Content-Length"]))
            service.seen.append(Seen(self.path, dict(self.headers), self.body, self.client_address[1]))
            service.reply(self)

        def log_message(self, *arguments: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            # The handshake is made by the thread of the connection, when it first reads.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        service.url = f"{'https://localhost' if certificate else 'http://127.0.0.1'}:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield service
        server.shutdown()


@contextmanager
def proxying() -> Iterator[tuple[str, list[str]]]:
    """A proxy that can CONNECT: its address, and the heads of what it was asked."""
    asked: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            lines = list(iter(self.rfile.readline, b"\r\n"))
            asked.append(b"".join(lines).decode())
            host, port = lines[0].split()[1].decode().split(":")
            with socket.create_connection((host, int(port))) as there:
                self.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    for ready in select.select([self.connection, there], [], [])[0]:
                        found = ready.recv(65536)
                        if not found:
                            return
                        (there if ready is self.connection else self.connection).sendall(found)

    class Proxy(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Proxy(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `localhost` that signs itself; its key lies beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem))
    path.with_suffix(".key").write_bytes(secret)
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Service]:
    with serving(certificate) as service:
        yield service


@pytest.fixture(params=[CrtTransport, Boto3Transport])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes transports of each kind in turn, and closes them."""
    made: list[Transport] = []

    def one(client: Any, **options: Any) -> Transport:
        made.append(request.param(client, **options))
        return made[-1]

    yield one
    for transport in made:
        transport.close()


KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}


def client_of(url: str | None, *, verify: bool | str | None = None, service: str = "events", **config: Any) -> Any:
    settings = Config(retries={"total_max_attempts": 1}, **config)
    made: Any = boto3.client
    return made(service, region_name="us-east-1", endpoint_url=url, verify=verify, config=settings, **KEYS)


def outcome(transport: Transport, body: bytes = BODY) -> Outcome:
    """What came of one request; that nothing else came, too."""
    told: SimpleQueue[Outcome] = SimpleQueue()
    transport.send("PutEvents", body, told.put)
    found = told.get(timeout=WAIT)
    assert told.empty()
    return found


def test_events_arrive_on_a_bus(aws: LocalAws, bus: str, make: Make) -> None:
    entry = {**ENTRY, "EventBusName": bus}
    found = outcome(make(aws.client("events")), orjson.dumps({"Entries": [entry, {**entry, "Detail": "[1]"}]}))
    assert isinstance(found, Answer)
    assert (found.status, found.code, found.output["FailedEntryCount"]) == (200, "", 1)
    assert [each.get("ErrorCode") for each in found.output["Entries"]] == [None, "MalformedDetail"]
    assert aws.accepted() == [entry]


def test_a_time_is_written_as_seconds(service: Service, make: Make) -> None:
    outcome(make(client_of(service.url)))
    assert orjson.loads(service.seen[0].body) == {"Entries": [ENTRY]}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            (400, {"x-amzn-errortype": "ThrottlingException"}, b'{"__type":"ThrottlingException","message":"Rate"}'),
            Answer(400, code="ThrottlingException", message="Rate"),
        ),
        (
            (400, {}, b'{"__type":"com.amazonaws.events#ValidationException:http://x","Message":"why"}'),
            Answer(400, code="ValidationException", message="why"),
        ),
        ((500, {}, b""), Answer(500, code="500", message="Internal Server Error")),
        ((200, {}, b"garbage"), NoAnswer("UnreadableAnswer", maybe_accepted=True)),
        ((200, {}, b""), NoAnswer("UnreadableAnswer", maybe_accepted=True)),
    ],
)
def test_what_the_service_answers_is_told(service: Service, make: Make, reply: Reply, expected: Outcome) -> None:
    status, headers, body = reply
    service.reply = partial(answer, status=status, body=body, headers=headers)
    assert outcome(make(client_of(service.url))) == expected


def test_an_error_of_a_load_balancer_is_an_answer(service: Service, make: Make) -> None:
    service.reply = partial(answer, status=503, body=b"<html>busy</html>")
    found = outcome(make(client_of(service.url)))
    assert isinstance(found, Answer)
    assert (found.status, found.code) == (503, "503")


def test_a_cut_connection_leaves_the_request_in_doubt_and_the_next_goes_well(service: Service, make: Make) -> None:
    transport = make(client_of(service.url))
    service.reply = cut
    found = outcome(transport)
    assert isinstance(found, NoAnswer)
    assert found.maybe_accepted
    service.reply = accept
    assert isinstance(outcome(transport), Answer)


def test_a_request_that_reached_nobody_was_not_accepted(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    found = outcome(make(client_of(url)))
    assert isinstance(found, NoAnswer)
    assert not found.maybe_accepted


def test_a_late_answer_is_none(service: Service, make: Make) -> None:
    transport = make(client_of(service.url, read_timeout=1))
    service.reply = partial(late, seconds=4)
    start = time.monotonic()
    assert outcome(transport) == NoAnswer("ReadTimeoutError", maybe_accepted=True)
    assert time.monotonic() - start < 3
    service.reply = accept
    assert isinstance(outcome(transport), Answer)


def test_a_connection_is_used_again_until_it_is_closed(service: Service, make: Make) -> None:
    transport = make(client_of(service.url))
    for _ in range(3):
        assert isinstance(outcome(transport), Answer)
    assert len({each.peer for each in service.seen}) == 1
    service.reply = partial(answer, status=200, body=TAKEN, headers={"Connection": "close"})
    assert isinstance(outcome(transport), Answer)
    assert isinstance(outcome(transport), Answer)
    assert len({each.peer for each in service.seen}) == 2


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Service, make: Make) -> None:
    # The Common Runtime hides for at least ten seconds that a handshake failed; its connect timeout tells before.
    found = outcome(make(client_of(secure.url, connect_timeout=1, read_timeout=1)))
    assert isinstance(found, NoAnswer)
    assert not found.maybe_accepted
    assert secure.seen == []


def test_the_ca_bundle_of_the_client_is_trusted(secure: Service, make: Make, certificate: Path) -> None:
    assert isinstance(outcome(make(client_of(secure.url, verify=str(certificate)))), Answer)


def test_the_ca_bundle_of_the_environment_is_trusted(
    secure: Service, make: Make, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    assert isinstance(outcome(make(client_of(secure.url))), Answer)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_can_be_turned_off(secure: Service, make: Make) -> None:
    assert isinstance(outcome(make(client_of(secure.url, verify=False))), Answer)


def test_the_name_of_the_service_is_verified(secure: Service, make: Make, certificate: Path) -> None:
    url = secure.url.replace("localhost", "127.0.0.1")
    found = outcome(make(client_of(url, verify=str(certificate), connect_timeout=1, read_timeout=1)))
    assert isinstance(found, NoAnswer)
    assert not found.maybe_accepted


def test_a_proxy_is_used_with_its_password(secure: Service, make: Make, certificate: Path) -> None:
    with proxying() as (address, asked):
        proxies = {"https": f"http://us%40er:pass@{address}"}
        client = client_of(secure.url, verify=str(certificate), proxies=proxies)
        assert isinstance(outcome(make(client)), Answer)
    assert len(asked) == 1
    assert asked[0].startswith(f"CONNECT {secure.url.removeprefix('https://')} ")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'us@er:pass').decode()}" in asked[0]


def test_a_proxy_of_the_environment_is_used_unless_it_says_no(
    secure: Service, make: Make, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as (address, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        assert isinstance(outcome(make(client_of(secure.url, verify=str(certificate)))), Answer)
        assert len(asked) == 1
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert isinstance(outcome(make(client_of(secure.url, verify=str(certificate)))), Answer)
        assert len(asked) == 1


def test_a_proxy_hands_plain_requests_on(service: Service, make: Make) -> None:
    client = client_of("http://bus.invalid:81", proxies={"http": service.url})
    assert isinstance(outcome(make(client)), Answer)
    assert service.seen[0].path == "http://bus.invalid:81/"
    assert {name.lower(): value for name, value in service.seen[0].headers.items()}["host"] == "bus.invalid:81"


def session_with(credentials: Any) -> Any:
    session = botocore.session.Session()
    session._credentials = credentials  # type: ignore[attr-defined]
    made: Any = boto3.Session(botocore_session=session, region_name="us-east-1")
    return made


def renewed(**settings: Any) -> tuple[Any, list[int]]:
    """Credentials that are renewed before every request, and how often they were."""
    times: list[int] = []

    def renew() -> dict[str, str]:
        times.append(len(times) + 1)
        soon = datetime.now(UTC) + timedelta(seconds=60)
        number = times[-1]
        return {
            "access_key": f"AKID{number}",
            "secret_key": f"secret{number}",
            "token": f"token{number}",
            "expiry_time": soon.isoformat(),
        }

    made: Any = RefreshableCredentials
    return made.create_from_metadata(metadata=renew(), refresh_using=renew, method="test"), times


def test_renewed_credentials_sign_the_next_request(service: Service, make: Make) -> None:
    credentials, times = renewed()
    transport = make(session_with(credentials).client("events", endpoint_url=service.url))
    for _ in range(3):
        assert isinstance(outcome(transport), Answer)
        headers = service.seen[-1].headers
        assert f"Credential=AKID{times[-1]}/" in headers["Authorization"]
        assert headers["X-Amz-Security-Token"] == f"token{times[-1]}"
    assert len({each.headers["Authorization"].split("/")[0] for each in service.seen}) == 3


def test_missing_credentials_are_a_wrong_set_up(
    service: Service, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    client = boto3.Session(region_name="us-east-1").client("events", endpoint_url=service.url)
    found = outcome(make(client))
    assert isinstance(found, SetupError)
    said = "Unable to locate credentials; check the credentials of the Airflow connection"
    assert str(found) == f"PutEvents in us-east-1: call failed: {said}"
    assert service.seen == []


def test_credentials_that_fail_to_renew_are_told_once(service: Service, make: Make) -> None:
    credentials, _ = renewed()

    def fail() -> None:
        raise OSError("the token file is gone")

    credentials._refresh_using = fail
    # RefreshableCredentials bears a failure until the old ones have expired.
    credentials._expiry_time = datetime.now(UTC) - timedelta(seconds=1)
    found = outcome(make(session_with(credentials).client("events", endpoint_url=service.url)))
    assert isinstance(found, SetupError | NoAnswer)
    assert service.seen == []


def test_each_of_many_requests_is_answered_once_with_its_own_answer(service: Service, make: Make) -> None:
    def echo(handler: Any) -> None:
        number = int(orjson.loads(handler.body)["Entries"][0]["Source"])
        answer(handler, 200, orjson.dumps({"FailedEntryCount": number, "Entries": []}))

    service.reply = echo
    transport = make(client_of(service.url))
    told: SimpleQueue[tuple[int, Outcome]] = SimpleQueue()

    def tell(number: int, found: Outcome) -> None:
        told.put((number, found))

    for number in range(400):
        entry = {**ENTRY, "Source": str(number)}
        transport.send("PutEvents", orjson.dumps({"Entries": [entry]}), partial(tell, number))
    found = [told.get(timeout=WAIT) for _ in range(400)]
    assert told.empty()
    assert sorted(number for number, _ in found) == list(range(400))
    for number, each in found:
        assert isinstance(each, Answer)
        assert each.output["FailedEntryCount"] == number
    assert len(service.seen) == 400
    assert len({each.peer for each in service.seen}) <= transport.in_flight


def test_an_answer_may_start_the_next_request(service: Service, make: Make) -> None:
    transport = make(client_of(service.url))
    told: SimpleQueue[Outcome] = SimpleQueue()

    def again(left: int, found: Outcome) -> None:
        told.put(found)
        if left:
            transport.send("PutEvents", BODY, partial(again, left - 1))

    transport.send("PutEvents", BODY, partial(again, 20))
    assert all(isinstance(told.get(timeout=WAIT), Answer) for _ in range(21))


def open_things() -> tuple[int, int]:
    """Threads and open files of this process, those of the runtime among them."""
    return len(list(Path("/proc/self/task").iterdir())), len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="threads and files are counted as Linux tells them")
@pytest.mark.parametrize("kind", [CrtTransport, Boto3Transport])
def test_closing_leaves_no_thread_and_no_connection(service: Service, kind: Callable[[Any], Transport]) -> None:
    client = client_of(service.url)
    before = open_things()
    transport = kind(client)
    told: SimpleQueue[Outcome] = SimpleQueue()
    for _ in range(50):
        transport.send("PutEvents", BODY, told.put)
    transport.close()
    assert isinstance(outcome(transport), NoAnswer)
    assert all(told.get(timeout=WAIT) for _ in range(50))
    assert told.empty()
    until = time.monotonic() + WAIT
    while open_things() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert open_things() <= before


def test_a_closed_transport_sends_nothing(service: Service, make: Make) -> None:
    transport = make(client_of(service.url))
    transport.close()
    assert outcome(transport) == NoAnswer("Closed", maybe_accepted=False)
    transport.close()
    assert service.seen == []


# What the fast transport has of its own.


def test_closing_gives_up_answers_that_take_too_long(service: Service) -> None:
    service.reply = late
    transport = CrtTransport(client_of(service.url), grace=0.1)
    told: SimpleQueue[Outcome] = SimpleQueue()
    transport.send("PutEvents", BODY, told.put)
    while not service.seen:
        time.sleep(0.01)
    transport.close()
    assert told.get(timeout=WAIT) == NoAnswer("Closed", maybe_accepted=True)


def test_closing_gives_up_connections_that_take_too_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = client_of(f"https://localhost:{silent.getsockname()[1]}")
        transport = CrtTransport(client, grace=0.1)
        told: SimpleQueue[Outcome] = SimpleQueue()
        transport.send("PutEvents", BODY, told.put)
        time.sleep(0.1)
        closing = threading.Thread(target=transport.close)
        closing.start()
        assert told.get(timeout=WAIT) == NoAnswer("Closed", maybe_accepted=False)
    closing.join(WAIT)


def test_a_connection_that_takes_too_long_was_no_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}"
        transport = CrtTransport(client_of(url, connect_timeout=0.2, read_timeout=0.2), grace=0.1)
        assert outcome(transport) == NoAnswer("ConnectTimeoutError", maybe_accepted=False)
    transport.close()


def test_requests_beyond_the_connections_wait_for_one(service: Service) -> None:
    transport = CrtTransport(client_of(service.url), in_flight=2)
    told: SimpleQueue[Outcome] = SimpleQueue()
    for _ in range(50):
        transport.send("PutEvents", BODY, told.put)
    assert all(isinstance(told.get(timeout=WAIT), Answer) for _ in range(50))
    assert len({each.peer for each in service.seen}) == 2
    transport.close()


def test_waiting_requests_outlive_connections_that_fail(service: Service) -> None:
    service.reply = cut
    transport = CrtTransport(client_of(service.url), in_flight=2)
    told: SimpleQueue[Outcome] = SimpleQueue()
    for _ in range(20):
        transport.send("PutEvents", BODY, told.put)
    found = [told.get(timeout=WAIT) for _ in range(20)]
    assert all(isinstance(each, NoAnswer) and each.maybe_accepted for each in found)
    transport.close()


@pytest.mark.parametrize("token", [None, "token"])
def test_the_signature_is_botocores(service: Service, token: str | None) -> None:
    client = session_with(Credentials("AKIDEXAMPLE", "secret", token)).client("events", endpoint_url=service.url)
    transport = CrtTransport(client)
    assert isinstance(outcome(transport), Answer)
    transport.close()
    seen = service.seen[0]
    parts = dict(each.split("=", 1) for each in seen.headers["Authorization"].split(" ", 1)[1].split(", "))
    signed = {name: value for name, value in seen.headers.items() if name.lower() in parts["SignedHeaders"].split(";")}
    assert {"host", "x-amz-date", "x-amz-target", "content-type"} <= {name.lower() for name in signed}
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "secret", token), "events", "us-east-1")
    request = AWSRequest("POST", service.url + "/", headers=signed, data=seen.body)
    request.context["timestamp"] = seen.headers["X-Amz-Date"]
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert parts["Signature"] == auth.signature(text, request)
    assert parts["Credential"] == f"AKIDEXAMPLE/{auth.credential_scope(request)}"


def test_requests_of_many_writes_are_not_held_back(secure: Service, certificate: Path) -> None:
    transport = CrtTransport(client_of(secure.url, verify=str(certificate)))
    body = orjson.dumps({"Entries": [{**ENTRY, "Detail": "x" * 2_500}] * 10})
    outcome(transport, body)
    times = []
    for _ in range(20):
        start = time.monotonic()
        assert isinstance(outcome(transport, body), Answer)
        times.append(time.monotonic() - start)
    assert median(times) < 0.03, "each waited for the service's delayed acknowledgement, of 40 ms"
    transport.close()


def test_a_code_in_the_header_alone_is_found(service: Service) -> None:
    headers = {"x-amzn-ErrorType": "ThrottlingException:http://x"}
    service.reply = partial(answer, status=400, body=b"", headers=headers)
    transport = CrtTransport(client_of(service.url))
    assert outcome(transport) == Answer(400, code="ThrottlingException", message="Bad Request")
    transport.close()


def test_a_ca_bundle_that_only_boto3_may_read_is_left_to_it(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    assert "CA bundle" in str(crt_refusal(client_of("https://localhost:1", verify=str(bundle))))


def test_a_missing_ca_bundle_is_a_wrong_set_up(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"reading the CA bundle .*none\.pem.*AWS_CA_BUNDLE"):
        CrtTransport(client_of("https://localhost:1", verify=str(tmp_path / "none.pem")))


@pytest.mark.parametrize(
    ("url", "config", "host"),
    [
        (None, {}, "events.us-east-1.amazonaws.com"),
        (None, {"use_fips_endpoint": True}, "events-fips.us-east-1.amazonaws.com"),
        (None, {"use_dualstack_endpoint": True}, "events.us-east-1.api.aws"),
        ("https://localhost:443", {}, "localhost"),
        ("http://localhost:4566", {}, "localhost:4566"),
        ("http://[::1]:80", {}, "[::1]"),
    ],
)
def test_requests_go_where_the_clients_would(url: str | None, config: dict[str, Any], host: str) -> None:
    assert CrtSettings(client_of(url, **config)).host_header == host


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"signature_version": botocore.UNSIGNED}, "signature_version"),
        ({"signature_version": "bearer"}, "signature_version"),
        ({"client_cert": "client.pem"}, "client_cert"),
        ({"proxies_config": {"proxy_ca_bundle": "ca.pem"}}, "proxies_config"),
        ({"proxies": {"https": "https://proxy:3128"}}, "proxy itself is reached over TLS"),
    ],
)
def test_settings_that_only_boto3_can_follow_are_named(
    config: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(None, **config)
    refusal = crt_refusal(client)
    assert refusal
    assert told in refusal
    with caplog.at_level(logging.INFO):
        transport = transport_for(client)
    transport.close()
    assert isinstance(transport, Boto3Transport)
    assert [refusal in record.getMessage() for record in caplog.records if record.name.startswith("currents")] == [True]


def test_a_service_of_another_protocol_goes_through_boto3() -> None:
    assert crt_refusal(client_of(None, service="s3")) == "s3 speaks rest-xml, neither JSON nor CBOR"


def test_an_http_session_of_the_clients_own_is_kept() -> None:
    client = client_of(None)
    client._endpoint.http_session = object()
    assert "HTTP session" in str(crt_refusal(client))


def test_a_plain_client_goes_the_fast_way(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(None)
    assert crt_refusal(client) is None
    with caplog.at_level(logging.INFO):
        transport = transport_for(client)
    assert isinstance(transport, CrtTransport)
    assert [record for record in caplog.records if record.name.startswith("currents")] == []
    transport.close()
