"""Global endpoints: where requests to them go, over both transports, and what is looked up before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from currents_aws.boto3_transport import Boto3Transport
from currents_aws.choose_transport import transport_for
from currents_aws.crt_settings import CrtSettings
from currents_aws.crt_transport import CrtTransport
from currents_aws.event_bus import EventBus
from currents_aws.global_endpoint import address_of
from currents_core.entry import Common, Span
from currents_core.errors import CurrentsError, SetupError
from currents_core.ports import SENT, Finding, Invalid, Result
from tests.tools.awaiting import Awaited
from tests.tools.entries import entries_of
from tests.tools.global_endpoints import (
    PRIMARY,
    SECONDARY,
    bus_in_both,
    client_in,
    create_endpoint,
    endpoint_parameters,
)
from tests.tools.local_aws import LocalAws

COMMON = Common("braze.currents", "users.messages.email.Open", "arn:aws:s3:::bucket/key")
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
ID = "abcde.veo"

Make = Callable[..., EventBus]


def client_of(url: str | None, region: str = PRIMARY, secret_key: str = "testing", **config: Any) -> Any:
    settings = Config(retries={"total_max_attempts": 1}, **config)
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": secret_key}
    made: Any = boto3.client
    return made("events", region_name=region, endpoint_url=url, config=settings, **keys)


@pytest.fixture
def bus(aws: LocalAws) -> str:
    return bus_in_both(aws)


@pytest.fixture(params=[CrtTransport, Boto3Transport])
def make(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes targets that send over one transport or the other."""
    made: list[EventBus] = []

    def target(name: str, endpoint_id: str, **settings: Any) -> EventBus:
        client = client_of(aws.endpoint, **settings)
        if request.param is CrtTransport:
            transport: Any = CrtTransport(client, global_url=address_of(client, endpoint_id))
        else:
            transport = Boto3Transport(client)
        made.append(EventBus(client, transport, name, endpoint_id=endpoint_id))
        return made[-1]

    yield target
    for each in made:
        each.close()


def answer(target: EventBus, *envelopes: str) -> Sequence[Result] | CurrentsError:
    """What becomes of a chunk with these envelopes."""
    entries = entries_of(envelopes, time=1_795_420_801, common=COMMON, wire=target.wire)
    awaited = Awaited[Sequence[Result] | CurrentsError]()
    target.send([Span(entries, 0, len(entries))], awaited)
    return awaited.result()


def arn(bus: str, region: str = PRIMARY) -> str:
    return f"arn:aws:events:{region}:123456789012:event-bus/{bus}"


# The way to it


@pytest.mark.parametrize("secondary", [False, True])
def test_events_arrive_on_the_bus_of_an_endpoint(aws: LocalAws, bus: str, make: Make, secondary: bool) -> None:
    """AWS finds the bus in the other region itself, by its name or by its ARN."""
    endpoint_id = create_endpoint(aws, bus)
    target = make(arn(bus, SECONDARY) if secondary else bus, endpoint_id, region=SECONDARY if secondary else PRIMARY)
    results = answer(target, '{"id":"é😀"}', "[1]")
    assert not isinstance(results, CurrentsError)
    assert results[0] == SENT
    assert isinstance(results[1], Invalid)
    assert [entry["Detail"] for entry in aws.accepted()] == ['{"id":"é😀"}']
    assert aws.counts()["lost"] == 0


def test_an_endpoint_signed_with_another_key_is_a_wrong_set_up(aws: LocalAws, bus: str, make: Make) -> None:
    result = answer(make(bus, create_endpoint(aws, bus), secret_key="other"), "{}")
    assert isinstance(result, SetupError)
    assert "InvalidSignatureException" in str(result)
    assert "check the credentials of the Airflow connection" in str(result)


def test_the_signature_is_for_the_regions_that_the_client_is_told(aws: LocalAws, bus: str, make: Make) -> None:
    endpoint_id = create_endpoint(aws, bus)
    both = make(bus, endpoint_id, sigv4a_signing_region_set=f"{PRIMARY},{SECONDARY}")
    assert answer(both, "{}") == [SENT]
    one = answer(make(bus, endpoint_id, sigv4a_signing_region_set=PRIMARY), "{}")
    assert "not signed for each region" in str(one)


HOSTS = [
    (None, PRIMARY, {}, f"https://{ID}.endpoint.events.amazonaws.com"),
    (None, PRIMARY, {"use_dualstack_endpoint": True}, f"https://{ID}.endpoint.events.api.aws"),
    (None, "cn-north-1", {}, f"https://{ID}.endpoint.events.amazonaws.com.cn"),
    ("http://localhost:4566", PRIMARY, {}, "http://localhost:4566"),
    (
        "https://vpce-1.events.us-east-1.vpce.amazonaws.com/x",
        PRIMARY,
        {},
        "https://vpce-1.events.us-east-1.vpce.amazonaws.com/x",
    ),
]


@pytest.mark.parametrize(("url", "region", "config", "address"), HOSTS)
def test_requests_go_where_botocore_would_send_them(
    url: str | None, region: str, config: dict[str, Any], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    client = client_of(url, region, **config)
    sent: list[str] = []

    def seen(request: Any, **_: Any) -> None:
        sent.append(request.url)
        raise InterruptedError

    client.meta.events.register("before-send.events.PutEvents", seen)
    with pytest.raises(InterruptedError):
        client.put_events(EndpointId=ID, Entries=[{"Source": "s", "DetailType": "t", "Detail": "{}"}])
    assert [each.rstrip("/") for each in sent] == [address_of(client, ID)] == [address]


def test_an_address_in_the_environment_goes_before_the_host_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    assert address_of(client_of(None), ID) == "http://localhost:4566"


def test_connections_open_to_the_endpoint_and_pass_a_proxy_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    client = client_of("http://127.0.0.1:1", proxies={"https": "http://proxy:3128"})
    settings = CrtSettings(client, f"https://{ID}.endpoint.events.amazonaws.com")
    assert (settings.host_header, settings.port, settings.secure) == (f"{ID}.endpoint.events.amazonaws.com", 443, True)
    assert settings.proxy
    assert settings.proxy.host_name == "proxy"
    assert CrtSettings(client).proxy is None


def test_fips_has_no_global_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    client = client_of(None, use_fips_endpoint=True)
    with pytest.raises(
        SetupError,
        match=r"^global endpoint abcde\.veo: it can't be addressed: .*FIPS is not.*use_fips_endpoint",
    ):
        transport_for(client, ID)


def test_the_fast_transport_is_chosen_for_an_endpoint_too(aws: LocalAws) -> None:
    transport = transport_for(client_of(aws.endpoint), ID)
    assert isinstance(transport, CrtTransport)
    transport.close()


# What is looked up


class Denying:
    """A client that raises an error where endpoints are listed, or the bus is described."""

    def __init__(self, client: Any, error: Exception, operation: str = "list_endpoints") -> None:
        self.meta = client.meta
        self._client = client
        setattr(self, operation, lambda **_: self._fail(error))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def _fail(self, error: Exception) -> None:
        raise error


def preflight(aws: LocalAws, bus: str, endpoint_id: str, client: Any = None, region: str = PRIMARY) -> Finding:
    client = client or client_of(aws.endpoint, region)
    target = EventBus(client, Boto3Transport(client_of(aws.endpoint)), bus, endpoint_id=endpoint_id)
    try:
        [found] = target.preflight()
    finally:
        target.close()
    return found


@pytest.mark.parametrize("named", [str, arn])
def test_an_endpoint_that_is_active_and_has_the_bus_is_ready(
    aws: LocalAws, bus: str, named: Callable[[str], str]
) -> None:
    found = preflight(aws, named(bus), endpoint_id := create_endpoint(aws, bus))
    assert str(found) == f"endpoint: {endpoint_id} is ACTIVE, and has {arn(bus)}"
    assert not found.is_warning


def test_an_endpoint_is_found_on_a_later_page(aws: LocalAws, bus: str) -> None:
    events = client_in(aws, PRIMARY)
    for number in range(101):
        events.create_endpoint(**endpoint_parameters(bus) | {"Name": f"{bus[:40]}-{number}"})
    found = preflight(aws, bus, endpoint_id := create_endpoint(aws, bus))
    assert str(found) == f"endpoint: {endpoint_id} is ACTIVE, and has {arn(bus)}"


def test_a_bus_without_a_region_of_its_own_is_told_before_its_endpoint(aws: LocalAws, bus: str) -> None:
    endpoint_id = create_endpoint(aws, bus)
    client_in(aws, PRIMARY).delete_event_bus(Name=bus)
    with pytest.raises(SetupError, match=r"lookup failed: ResourceNotFoundException.*create it"):
        preflight(aws, bus, endpoint_id)


def test_an_endpoint_that_takes_no_events_is_told_with_the_remedy(aws: LocalAws, bus: str) -> None:
    other = bus_in_both(aws)
    endpoint_id = create_endpoint(aws, other)
    with pytest.raises(SetupError, match=r"global endpoint none\.veo in us-east-1: there is none .*correct"):
        preflight(aws, bus, "none.veo")
    with pytest.raises(SetupError, match="set region to the primary region of the endpoint"):
        preflight(aws, other, endpoint_id, region=SECONDARY)
    with pytest.raises(SetupError, match=f"it is for {arn(other)} and .*, not for {arn(bus)}; correct"):
        preflight(aws, bus, endpoint_id)
    client_in(aws, PRIMARY).delete_endpoint(Name=other)
    with pytest.raises(SetupError, match=r"it is DELETING \(no reason told\); .*create it anew"):
        preflight(aws, other, endpoint_id)


def test_without_the_permission_to_list_a_line_says_what_was_not_looked_up(aws: LocalAws, bus: str) -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListEndpoints")
    found = preflight(aws, bus, ID, Denying(client_of(aws.endpoint), denied))
    assert found.is_warning
    assert found.found == (
        "global endpoint abcde.veo in us-east-1 is not looked up; to have it checked before a run, grant "
        "events:ListEndpoints"
    )


@pytest.mark.parametrize("operation", ["list_endpoints", "describe_event_bus"])
def test_a_region_that_fails_stops_no_export_over_an_endpoint(aws: LocalAws, bus: str, operation: str) -> None:
    for error in (
        EndpointConnectionError(endpoint_url="https://events.us-east-1.amazonaws.com"),
        ClientError({"Error": {"Code": "InternalException"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "x"),  # type: ignore[typeddict-item]
    ):
        found = preflight(aws, bus, ID, Denying(client_of(aws.endpoint), error, operation))
        assert found.is_warning
        assert found.found.endswith("sending to the global endpoint all the same")


def test_another_error_of_the_lookup_is_told(aws: LocalAws, bus: str) -> None:
    expired = ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "old"}}, "ListEndpoints")
    with pytest.raises(SetupError, match=r"global endpoint abcde\.veo .*lookup failed: ExpiredTokenException.*renew"):
        preflight(aws, bus, ID, Denying(client_of(aws.endpoint), expired))
