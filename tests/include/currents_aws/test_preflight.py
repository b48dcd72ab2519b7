"""Preflight over real clients and local AWS: what it tells of a setup that works, and of those that can't."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from currents_aws.preflight import preflight
from currents_aws.put_target import PutTarget
from currents_core.errors import SetupError, TransientError
from currents_core.setup.settings import Connector
from tests.tools.delivering import target_of
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws

ACCOUNT = "123456789012"
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)


def connector(destination: dict[str, Any], **told: Any) -> Connector:
    return Connector.model_validate(
        {
            "name": "orders",
            "source": {"bucket": "braze"},
            "destination": {"region": "us-east-1", **destination},
            "state": {"bucket": "state"},
            **told,
        }
    )


class Trial:
    """Preflight of a connector with clients as an Airflow connection would have them."""

    def __init__(self, endpoint: str, destination: dict[str, Any], **told: Any) -> None:
        self.connector = connector(destination, **told)
        self.endpoint = endpoint
        self.keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        self.endpoints: dict[str, str] = {}
        self.target: PutTarget | None = None

    def client(self, service: str) -> Any:
        url = self.endpoints.get(service, self.endpoint)
        region = self.connector.destination.region
        session: Any = boto3.Session()
        return session.client(service, region, endpoint_url=url, config=CONFIG, **self.keys)

    def run(self, *, tries: bool = True) -> list[str]:
        self.target = target_of(self.connector, self.client)
        try:
            return [str(each) for each in preflight(self.connector, self.target, self.client, tries=tries)]
        finally:
            self.target.close()


@pytest.fixture
def trial(aws: LocalAws, bus: str) -> Iterator[Trial]:
    """Of a classic bus that takes everything."""
    yield Trial(aws.endpoint, {"kind": "event_bus", "name": bus})
    aws.set_faults(FaultPlan())


@pytest.fixture
def custom(aws: LocalAws) -> Trial:
    arn = aws.client("eventbridgev2").create_event_bus(Name=f"bus-{uuid.uuid4()}")["EventBusArn"]
    aws.forward(5)
    return Trial(aws.endpoint, {"kind": "custom_bus", "name": arn}, budget={"entries_per_second": 1_000})


ALLOWED = "permission: events:PutEvents is allowed (a malformed entry was refused for its form, MalformedDetail)"


def test_a_classic_bus_is_told_of_in_four_lines_and_nothing_arrives(aws: LocalAws, trial: Trial) -> None:
    assert trial.run() == [
        "identity: arn:aws:sts::123456789012:user/moto, from Airflow connection aws_default",
        f"bus: arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{trial.connector.destination_name} is there",
        ALLOWED,
        "quota: 10,000 PutEvents requests a second in us-east-1; the budget takes 5,000 PutEvents requests a second",
    ]
    counts = aws.counts()
    assert (counts["requests"], counts["accepted"]) == (1, 0)


def test_a_custom_bus_is_told_of_in_three_lines_and_nothing_arrives(aws: LocalAws, custom: Trial) -> None:
    [identity, found, allowed] = custom.run()
    assert identity.startswith("identity: arn:aws:sts::")
    assert found == f"bus: {custom.connector.destination_name} is ACTIVE"
    assert allowed == ALLOWED
    counts = aws.counts()
    assert (counts["requests"], counts["accepted"]) == (1, 0)


def test_a_run_that_is_not_to_try_sends_nothing(aws: LocalAws, trial: Trial) -> None:
    assert [line.partition(":")[0] for line in trial.run(tries=False)] == ["identity", "bus", "quota"]
    assert aws.counts()["requests"] == 0


def test_a_role_is_told_without_the_session_that_may_be_named_after_a_person(trial: Trial) -> None:
    role = "arn:aws:iam::123456789012:role/exporter"
    told = trial.client("sts").assume_role(RoleArn=role, RoleSessionName="anna")["Credentials"]
    trial.keys = {
        "aws_access_key_id": told["AccessKeyId"],
        "aws_secret_access_key": told["SecretAccessKey"],
        "aws_session_token": told["SessionToken"],
    }
    first = next(preflight(trial.connector, target_of(trial.connector, trial.client), trial.client))
    assert str(first) == (
        "identity: arn:aws:sts::123456789012:assumed-role/exporter, from Airflow connection aws_default"
    )


def test_a_policy_that_denies_is_one_line_and_the_run_goes_once_it_does_not(aws: LocalAws, trial: Trial) -> None:
    aws.set_faults(FaultPlan(denied_detail_type="*"))
    told = (
        rf"^event bus {trial.connector.destination_name} in us-east-1: events:PutEvents is denied of \S+ and of \S+: "
        "send failed: AccessDeniedException: User is not authorized to perform: events:PutEvents; grant the permission "
        "to the role or user of the Airflow connection$"
    )
    with pytest.raises(SetupError, match=told):
        trial.run()
    aws.set_faults(FaultPlan())
    assert trial.run()[2] == ALLOWED


def test_a_policy_of_a_custom_bus_that_denies_is_one_line(aws: LocalAws, custom: Trial) -> None:
    aws.set_faults(FaultPlan(denied_detail_type="*"))
    try:
        with pytest.raises(SetupError, match=r"^custom bus arn:\S+: events:PutEvents is denied of .*; grant "):
            custom.run()
    finally:
        aws.set_faults(FaultPlan())


def test_a_service_that_throttles_is_no_reason_not_to_begin(aws: LocalAws, trial: Trial) -> None:
    aws.set_faults(FaultPlan(throttle=1.0))
    assert "permission: not told, because a probe" in trial.run()[2]


def test_a_bus_that_vanished_is_one_line(aws: LocalAws, trial: Trial, custom: Trial) -> None:
    aws.client("events").delete_event_bus(Name=trial.connector.destination_name)
    with pytest.raises(
        SetupError, match=r"lookup failed: ResourceNotFoundException: .*; create it or correct its name"
    ):
        trial.run()
    aws.client("eventbridgev2").delete_event_bus(EventBusArn=custom.connector.destination_name)
    aws.forward(6)
    with pytest.raises(SetupError, match="lookup failed: ResourceNotFoundException"):
        custom.run()


def test_a_quota_of_zero_is_one_line(aws: LocalAws, trial: Trial) -> None:
    aws.set_quota(0)
    with pytest.raises(
        SetupError, match=r"^EventBridge in us-east-1: the account may make no PutEvents requests: .*ask"
    ):
        trial.run()


@pytest.mark.parametrize(
    ("value", "budget", "told"),
    [
        (400, {}, "400 PutEvents requests .*; the budget takes 5,000 .*, which is more: EventBridge will throttle"),
        (20_000, {}, "20,000 .*, a share of the published default of 10,000 .*set requests_per_second"),
        (20_000, {"requests_per_second": 15_000}, "takes 15,000 PutEvents requests a second$"),
        (400, {"entries_per_second": 1}, "takes 1 PutEvents request a second$"),
    ],
)
def test_the_budget_is_compared_with_what_the_account_really_has(
    aws: LocalAws, trial: Trial, value: float, budget: dict[str, float], told: str
) -> None:
    aws.set_quota(value)
    trial.connector = connector({"kind": "event_bus", "name": trial.connector.destination_name}, budget=budget)
    assert re.search(told, trial.run()[3])


def test_where_service_quotas_can_not_be_asked_the_published_default_is_assumed(trial: Trial) -> None:
    trial.endpoints["service-quotas"] = "http://127.0.0.1:1"
    assert trial.run()[3] == (
        "quota: assumed to be the published default of us-east-1, 10,000 PutEvents requests a second, because Service "
        "Quotas did not tell (no answer); the budget takes 5,000 PutEvents requests a second"
    )


def test_credentials_that_sts_refuses_are_one_line(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    trial.keys = {}
    told = "^Airflow connection aws_default: they can't be used: Unable to locate credentials; check the credentials"
    with pytest.raises(SetupError, match=told):
        trial.run()


def test_an_sts_that_nobody_reaches_is_no_reason_not_to_begin(trial: Trial) -> None:
    trial.endpoints["sts"] = "http://sts.nowhere.invalid"
    assert trial.run()[0] == "identity: not told by STS (no answer); Airflow connection aws_default"


# Names below `.invalid` never exist: https://www.rfc-editor.org/rfc/rfc6761#section-6.4
@pytest.mark.parametrize(
    ("kind", "region", "told"),
    [
        ("event_bus", "eu-nowhere-1", "knows no region eu-nowhere-1"),
        ("custom_bus", "eu-nowhere-1", "knows no region eu-nowhere-1"),
        ("custom_bus", "eu-west-3", "knows no custom buses in eu-west-3, only in ap-east-1, "),
    ],
)
def test_a_region_that_is_none_or_lacks_the_second_generation_is_one_line(kind: str, region: str, told: str) -> None:
    form = "event-bus/b" if kind == "event_bus" else f"event-busv2/b/{'a' * 25}"
    destination = {"kind": kind, "name": f"arn:aws:events:{region}:{ACCOUNT}:{form}", "region": region}
    trial = Trial("http://nowhere.invalid", destination, budget={"entries_per_second": 1_000})
    with pytest.raises(SetupError, match=rf"b.*: no answer: botocore \S+ {told}"):
        trial.run()


def test_a_known_region_that_does_not_answer_may_do_so_later() -> None:
    trial = Trial("http://nowhere.invalid", {"kind": "event_bus", "name": "b"})
    with pytest.raises(TransientError, match="check the network"):
        trial.run()


def test_a_region_that_botocore_does_not_know_is_used_if_it_answers(aws: LocalAws) -> None:
    """Here it knows the region, but no custom buses in it."""
    region = "eu-west-3"
    client: Any = boto3.Session().client("eventbridgev2", region, endpoint_url=aws.endpoint)
    destination = {"kind": "custom_bus", "name": client.create_event_bus(Name="b")["EventBusArn"], "region": region}
    aws.forward(5)
    assert Trial(aws.endpoint, destination, budget={"entries_per_second": 1_000}).run()[2] == ALLOWED


def test_a_partner_source_is_told_of_in_three_lines(aws: LocalAws) -> None:
    aws.register_partner()
    destination = {"kind": "partner_source", "account": ACCOUNT, "partner_name": f"p-{uuid.uuid4()}.example"}
    trial = Trial(aws.endpoint, destination, budget={"entries_per_second": 1_000})
    name, events = trial.connector.destination_name, aws.client("events")
    events.create_partner_event_source(Name=name, Account=ACCOUNT)
    with pytest.raises(SetupError, match="it is PENDING"):
        trial.run()
    events.create_event_bus(Name=name, EventSourceName=name)
    [_, found, allowed] = trial.run()
    assert found == f"source: {name} is ACTIVE"
    assert allowed == ALLOWED.replace("PutEvents", "PutPartnerEvents")
