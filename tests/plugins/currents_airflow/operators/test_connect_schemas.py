from __future__ import annotations

import json
import uuid

import pytest

from currents_core.setup.settings import Connector
from tests.tools.connecting import Connecting
from tests.tools.local_aws import LocalAws

PURCHASE = "users.behaviors.Purchase"


def connecting(**event_types: list[str]) -> Connecting:
    """The run of a connector whose events have a source of their own, and so schemas of their own."""
    bus = {"kind": "event_bus", "name": "b", "region": "us-east-1", "aws_conn_id": None, "source": str(uuid.uuid4())}
    settings = {"source": {"bucket": "braze", "prefix": "in"}, "destination": bus, "state": {"bucket": "state"}}
    return Connecting(Connector.model_validate({"name": "orders", **settings, "event_types": event_types}))


def test_the_schemas_of_what_the_connector_exports_are_published_once(aws: LocalAws) -> None:
    run = connecting(include=[PURCHASE, "users.messages.email.*"], exclude=["*.Open"])
    counts = run.step("publish", publish_schemas=True)
    assert counts["created"] > 5
    assert run.step("publish", publish_schemas=True) == {"unchanged": counts["created"]}
    names = [f"{run.connector.event_source}@{kind}" for kind in (PURCHASE, "users.messages.email.Open")]
    listed = aws.client("schemas").list_schemas(RegistryName="braze-currents-other", SchemaNamePrefix=names[0])
    assert [each["VersionCount"] for each in listed["Schemas"]] == [1]
    assert (
        aws.client("schemas").list_schemas(RegistryName="braze-currents-messages", SchemaNamePrefix=names[1])["Schemas"]
        == []
    )


def test_what_changed_is_shown_and_published(aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    run, schemas = connecting(include=[PURCHASE]), aws.client("schemas")
    run.step("publish", publish_schemas=True)
    place = {"RegistryName": "braze-currents-other", "SchemaName": f"{run.connector.event_source}@{PURCHASE}"}
    content = json.loads(schemas.describe_schema(**place)["Content"])
    content["title"] = "Somebody's own"
    schemas.update_schema(**place, Content=json.dumps(content))
    capsys.readouterr()
    assert run.step("publish", publish_schemas=True) == {"updated": 1}
    told = capsys.readouterr().out
    assert f"updated braze-currents-other/{place['SchemaName']}" in told
    assert "title" in told


def test_nothing_is_published_unless_it_is_asked_for() -> None:
    assert connecting().step("publish") == {}
