"""Local AWS for every test that wants it: one process for the whole run, fresh buckets and buses for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.tools.local_aws import LocalAws, local_aws

# A slow machine is no fault of the code; and what a build finds today, it should find tomorrow.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def running_aws() -> Iterator[LocalAws]:
    with local_aws() as aws:
        yield aws


@pytest.fixture
def aws(running_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """Local AWS with an empty record; clients made by the code under test reach it and nothing else."""
    running_aws.reset()
    for name, value in running_aws.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTP_PROXY", "http_proxy", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return running_aws


@pytest.fixture
def bucket(aws: LocalAws) -> str:
    name = f"bucket-{uuid.uuid4()}"
    aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def bus(aws: LocalAws) -> str:
    name = f"bus-{uuid.uuid4()}"
    aws.client("events").create_event_bus(Name=name)
    return name
