"""Publishing, by a real client whose requests a registry in memory answers, as the service would on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.schema_registry import Published, SchemaRegistry
from currents_core.errors import SetupError, TransientError
from currents_core.shaping.event_schema import event_schema, schema_text, schema_version, stored_types

PURCHASE, OPEN = "users.behaviors.Purchase", "users.messages.email.Open"
SOURCE, REGION = "braze.currents", "eu-central-1"
NAME = "braze.currents@users.behaviors.Purchase"
PATH = re.compile(r"/v1/registries/name/(?P<registry>[^/]+)(/schemas/name/(?P<schema>[^/]+))?")
NAMES = re.compile(r"[A-Za-z0-9._@-]+")


class Raw(BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


@dataclass
class Service:
    """The registries in memory. ``refusals`` are errors for calls to come, by method and the last part of the path."""

    registries: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        path = unquote(urlsplit(request.url).path)
        found = PATH.fullmatch(path)
        assert found, path
        call = f"{request.method} {found['schema'] or found['registry']}"
        self.calls.append(call)
        body: Any = request.body
        told = json.loads(body) if body else {}
        status, output = self.refused(call) or self.answer(
            str(request.method), found["registry"], found["schema"], told
        )
        headers = HTTPHeaders.from_dict({"x-amzn-ErrorType": output["Code"]} if status >= 400 else {})
        return AWSResponse(request.url, status, headers, Raw(json.dumps(output).encode()))

    def refused(self, call: str) -> tuple[int, dict[str, Any]] | None:
        status, code, message = self.refusals.get(call, (0, "", ""))
        return (status, {"Code": code, "Message": message}) if status else None

    def answer(
        self, method: str, registry: str, schema: str | None, told: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        missing = (404, {"Code": "NotFoundException", "Message": "it does not exist"})
        assert len(told.get("Description", "")) <= 256
        assert NAMES.fullmatch(registry)
        assert len(registry) <= 64
        if schema is None:
            if method == "POST":
                self.registries[registry] = {}
            return (200, {"RegistryName": registry}) if registry in self.registries else missing
        versions = self.registries[registry].setdefault(schema, []) if method == "POST" else None
        versions = self.registries[registry].get(schema) if versions is None else versions
        if versions is None:
            return missing
        assert NAMES.fullmatch(schema)
        if method != "GET":
            assert told["Type"] == "JSONSchemaDraft4"
            assert 1 <= len(told["Content"]) <= 100_000
            versions.append(told)
        return 200, {**versions[-1], "SchemaVersion": str(len(versions))}


@pytest.fixture
def service() -> Service:
    return Service()


def registry_of(service: Service, prefix: str = "braze", source: str = SOURCE) -> SchemaRegistry:
    client = boto3.client(
        "schemas",
        region_name=REGION,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.meta.events.register("before-send.schemas", service)
    return SchemaRegistry(client, prefix, source)


@pytest.fixture
def registry(service: Service) -> SchemaRegistry:
    return registry_of(service)


def outcomes(published: Iterator[Published]) -> set[str]:
    return {each.outcome for each in published}


def test_all_schemas_are_created_once_and_stay_as_they_are_afterwards(
    service: Service, registry: SchemaRegistry
) -> None:
    first = list(registry.publish(stored_types()))
    assert {each.outcome for each in first} == {"created"}
    assert [each.event_type for each in first] == stored_types()
    assert {name: len(held) for name, held in service.registries.items()} == {"braze-messages": 65, "braze-other": 29}
    [kept] = service.registries["braze-other"][NAME]
    assert kept["Content"] == schema_text(event_schema(PURCHASE, SOURCE))
    assert kept["Description"] == f"users.behaviors.Purchase of Braze Currents, version {schema_version(PURCHASE)}"
    service.calls.clear()
    assert outcomes(registry.publish(stored_types())) == {"unchanged"}
    assert {call.split()[0] for call in service.calls} == {"GET"}


def test_only_what_changed_gets_a_new_version_and_how_it_did_is_told(
    service: Service, registry: SchemaRegistry
) -> None:
    assert outcomes(registry.publish([PURCHASE, OPEN])) == {"created"}
    older = event_schema(PURCHASE, SOURCE)
    members = older["definitions"]["UsersBehaviorsPurchaseProperties"]["properties"]
    members["gone"] = {"type": "boolean"}
    del members["platform"]
    service.registries["braze-other"][NAME][-1]["Content"] = json.dumps(older)
    updated, unchanged = registry.publish([PURCHASE, OPEN])
    assert updated.lines == ("- detail.properties.gone: boolean", "+ detail.properties.platform: string")
    assert (updated.outcome, updated.registry, updated.name) == ("updated", "braze-other", NAME)
    assert updated.version == schema_version(PURCHASE)
    assert (unchanged.outcome, unchanged.lines) == ("unchanged", ())
    assert len(service.registries["braze-other"][NAME]) == 2
    assert outcomes(registry.publish([PURCHASE, OPEN])) == {"unchanged"}


def test_a_registry_may_write_json_its_own_way(service: Service, registry: SchemaRegistry) -> None:
    assert outcomes(registry.publish([PURCHASE])) == {"created"}
    content = json.dumps(event_schema(PURCHASE, SOURCE), indent=None, sort_keys=False)
    service.registries["braze-other"][NAME][-1]["Content"] = content
    assert outcomes(registry.publish([PURCHASE])) == {"unchanged"}


@given(st.text(max_size=5) | st.sampled_from(["[]", "{}", "[" * 100_000, '{"openapi": "3.0.0"}']))
def test_whatever_others_wrote_under_the_name_is_replaced(content: str) -> None:
    service = Service({"braze-other": {NAME: [{"Content": content, "Type": "OpenApi3"}]}})
    [published] = registry_of(service).publish([PURCHASE])
    assert published.outcome == "updated"
    assert "+ detail.properties.price: number" in published.lines


def test_the_same_content_of_another_type_is_replaced(service: Service, registry: SchemaRegistry) -> None:
    content = schema_text(event_schema(PURCHASE, SOURCE))
    service.registries["braze-other"] = {NAME: [{"Content": content, "Type": "OpenApi3"}]}
    [published] = registry.publish([PURCHASE])
    assert (published.outcome, published.lines) == ("updated", ())


def test_a_registry_that_somebody_else_just_created_will_do(service: Service, registry: SchemaRegistry) -> None:
    service.refusals["GET braze-other"] = (404, "NotFoundException", "")
    service.refusals["POST braze-other"] = (409, "ConflictException", "it exists")
    service.registries["braze-other"] = {}
    assert outcomes(registry.publish([PURCHASE])) == {"created"}


def test_sources_of_any_kind_have_schemas_of_their_own(service: Service) -> None:
    source = "acme/é " * 36
    [published] = registry_of(service, source=source).publish([PURCHASE])
    assert published.name.endswith("acme---@users.behaviors.Purchase")
    [kept] = service.registries["braze-other"][published.name]
    assert json.loads(kept["Content"])["x-amazon-events-source"] == source


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("GET braze-other", "schema registry braze-other in eu-central-1: lookup failed"),
        ("POST braze-other", "schema registry braze-other in eu-central-1: creation failed"),
        (f"GET {NAME}", f"schema {NAME} in registry braze-other in eu-central-1: lookup failed"),
        (f"POST {NAME}", f"schema {NAME} in registry braze-other in eu-central-1: creation failed"),
    ],
)
def test_a_refusal_says_what_failed_and_where(service: Service, registry: SchemaRegistry, call: str, said: str) -> None:
    service.refusals[call] = (403, "AccessDeniedException", "not authorized")
    with pytest.raises(SetupError) as refused:
        list(registry.publish([PURCHASE]))
    remedy = "grant the permission to the role or user of the Airflow connection"
    assert str(refused.value) == f"{said}: AccessDeniedException: not authorized; {remedy}"


def test_an_update_that_is_refused_says_so_and_what_went_before_is_done(
    service: Service, registry: SchemaRegistry
) -> None:
    service.registries["braze-other"] = {NAME: [{"Content": "{}", "Type": "OpenApi3"}]}
    service.refusals[f"PUT {NAME}"] = (503, "ServiceUnavailableException", "later")
    done = registry.publish([OPEN, PURCHASE])
    assert next(done).outcome == "created"
    with pytest.raises(TransientError, match="update failed: ServiceUnavailableException"):
        next(done)
    service.refusals.clear()
    assert [each.outcome for each in registry.publish([OPEN, PURCHASE])] == ["unchanged", "updated"]
