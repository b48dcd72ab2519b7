from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

CONTENT = json.dumps({"openapi": "3.0.0"})
BUS = "arn:aws:events:us-east-1:123456789012:event-bus/"


@pytest.fixture
def schemas(aws: LocalAws) -> Any:
    return checked_client(aws, "schemas")


@pytest.fixture
def registry(schemas: Any) -> str:
    name = f"registry-{uuid.uuid4()}"
    schemas.create_registry(RegistryName=name, Description="d", Tags={"a": "b"})
    return name


def create(schemas: Any, registry: str, name: str, content: str = CONTENT) -> dict[str, Any]:
    return dict(schemas.create_schema(RegistryName=registry, SchemaName=name, Type="OpenApi3", Content=content))


def error_of(call: Any, *arguments: Any, **named: Any) -> tuple[str, int]:
    """The code and the status of the error that a call meets."""
    with pytest.raises(ClientError) as raised:
        call(*arguments, **named)
    told = raised.value.response
    return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]


MISSING, BAD, CONFLICT = ("NotFoundException", 404), ("BadRequestException", 400), ("ConflictException", 409)


def test_a_registry_is_created_once(schemas: Any, registry: str) -> None:
    told = schemas.describe_registry(RegistryName=registry)
    assert (told["RegistryName"], told["Description"], told["Tags"]) == (registry, "d", {"a": "b"})
    assert error_of(schemas.create_registry, RegistryName=registry) == CONFLICT
    assert error_of(schemas.describe_registry, RegistryName="none") == MISSING


def test_an_update_makes_a_version(aws: LocalAws, schemas: Any, registry: str) -> None:
    name = "braze@users.behaviors.Purchase"
    assert create(schemas, registry, name)["SchemaVersion"] == "1"
    where = {"RegistryName": registry, "SchemaName": name}
    aws.forward(60)
    assert schemas.update_schema(**where, Content='{"openapi":"3.0.1"}')["SchemaVersion"] == "2"
    assert schemas.update_schema(**where, Description="only")["SchemaVersion"] == "2"
    last, first = schemas.describe_schema(**where), schemas.describe_schema(**where, SchemaVersion="1")
    assert (last["Content"], first["Content"], last["Description"]) == ('{"openapi":"3.0.1"}', CONTENT, "only")
    assert last["VersionCreatedDate"] - first["VersionCreatedDate"] >= timedelta(seconds=60)
    assert first["LastModified"] == last["LastModified"]
    assert abs((first["VersionCreatedDate"] - datetime.now(UTC)).total_seconds()) < 60
    versions = schemas.list_schema_versions(**where)["SchemaVersions"]
    assert [each["SchemaVersion"] for each in versions] == ["2", "1"]
    assert error_of(schemas.describe_schema, **where, SchemaVersion="3") == MISSING
    assert error_of(schemas.update_schema, RegistryName=registry, SchemaName="none", Content=CONTENT) == MISSING


def test_a_registry_holds_a_hundred_schemas_that_are_listed_page_by_page(schemas: Any, registry: str) -> None:
    names = [f"s{n:03}" for n in range(100)]
    for name in names:
        create(schemas, registry, name)
    assert error_of(create, schemas, registry, "one-more") == BAD
    pages = schemas.get_paginator("list_schemas").paginate(RegistryName=registry, PaginationConfig={"PageSize": 30})
    found = [[each["SchemaName"] for each in page["Schemas"]] for page in pages]
    assert ([name for page in found for name in page], [len(page) for page in found]) == (names, [30, 30, 30, 10])
    some = schemas.list_schemas(RegistryName=registry, SchemaNamePrefix="s09")["Schemas"]
    assert [(each["SchemaName"], each["VersionCount"]) for each in some] == [(f"s09{n}", 1) for n in range(10)]


def test_what_is_wrong_with_a_schema_is_a_bad_request(schemas: Any, registry: str) -> None:
    create(schemas, registry, "s")
    assert error_of(create, schemas, registry, "s") == BAD
    assert error_of(create, schemas, "none", "s") == BAD
    assert error_of(create, schemas, registry, "t", "[]") == BAD
    assert error_of(create, schemas, registry, "t", "{") == BAD
    assert error_of(create, schemas, registry, "t", '{"a":"' + "x" * 100_000 + '"}') == BAD
    assert error_of(schemas.list_schemas, RegistryName="none") == BAD
    assert error_of(schemas.list_schemas, RegistryName=registry, NextToken="x") == BAD


def test_a_registry_is_there_in_its_region_alone(aws: LocalAws, registry: str) -> None:
    elsewhere = checked_client(aws, "schemas", "eu-west-1")
    assert error_of(elsewhere.describe_registry, RegistryName=registry) == MISSING


def test_a_discoverer_is_started_and_stopped(schemas: Any) -> None:
    source = f"{BUS}{uuid.uuid4()}"
    unique = schemas.create_discoverer(SourceArn=source)["DiscovererId"]
    assert error_of(schemas.create_discoverer, SourceArn=source) == CONFLICT
    assert schemas.describe_discoverer(DiscovererId=unique)["State"] == "STARTED"
    assert schemas.stop_discoverer(DiscovererId=unique)["State"] == "STOPPED"
    listed = schemas.list_discoverers(SourceArnPrefix=source)["Discoverers"]
    assert [(each["DiscovererId"], each["State"]) for each in listed] == [(unique, "STOPPED")]
    assert schemas.start_discoverer(DiscovererId=unique)["State"] == "STARTED"
    schemas.delete_discoverer(DiscovererId=unique)
    assert error_of(schemas.describe_discoverer, DiscovererId=unique) == MISSING
    assert schemas.list_discoverers(SourceArnPrefix=source)["Discoverers"] == []


def test_what_is_not_modelled_or_not_signed_is_refused(aws: LocalAws, schemas: Any) -> None:
    assert error_of(schemas.list_registries) == ("NotImplementedException", 501)
    answer = httpx.get(f"{aws.endpoint}/v1/registries/name/r", trust_env=False)
    assert (answer.status_code, answer.json()["Code"]) == (403, "MissingAuthenticationTokenException")
    answer = httpx.get(f"{aws.endpoint}/v1/registries/other", trust_env=False)
    assert (answer.status_code, answer.json()["Code"]) == (404, "UnknownOperationException")
