"""Records the AWS calls of this process, through boto3 and through AWS's Common Runtime, and tells what each needs.

The permissions of an operation are those that AWS's Service Authorization Reference names for it:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html and
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from currents_aws.aws_protocol import parameters
from currents_aws.crt_transport import CrtTransport
from tests.tools.global_endpoints import ACCOUNT, PRIMARY, SECONDARY
from tests.tools.iam import Need
from tests.tools.setup_needs import setup_needs

_S3 = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
}
# What a call is on that goes to a bus, and to nothing else.
_BUSES = ("CreateEventBus", "DescribeEventBus", "DeleteEventBus")


@dataclass
class Call:
    """One call: its parameters, and AWS's answer, or the code of its error."""

    service: str
    operation: str
    region: str
    params: Mapping[str, Any]
    answer: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    def needs(self) -> Iterator[Need]:
        """The permissions that it takes. Raises LookupError for an operation of which they are not known here."""
        if self.service == "s3":
            yield from self._needs_of_s3()
        elif self.service == "events":
            yield from self._needs_of_events()
        elif self.service == "sqs":
            # A queue is named by its name or its URL.
            name = self.params.get("QueueName") or self.params["QueueUrl"].rpartition("/")[2]
            yield Need(f"sqs:{self.operation}", f"arn:aws:sqs:{self.region}:{ACCOUNT}:{name}")
        elif self.operation == "FilterLogEvents":
            group = f"arn:aws:logs:{self.region}:{ACCOUNT}:log-group:{self.params['logGroupName']}"
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
            yield Need("logs:FilterLogEvents", f"{group}:*")
        elif self.operation == "AssumeRole":
            yield Need("sts:AssumeRole", self.params["RoleArn"])
        elif self.operation == "GetServiceQuota":
            # It is of no resource:
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_servicequotas.html
            yield Need("servicequotas:GetServiceQuota", "*")
        elif self.operation == "GetCallerIdentity":
            # https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
            return
        else:
            yield from setup_needs(self.service, self.operation, self.region, self.params)

    def _needs_of_s3(self) -> Iterator[Need]:
        bucket = f"arn:aws:s3:::{self.params['Bucket']}"
        if self.operation == "ListObjectsV2":
            yield Need("s3:ListBucket", bucket, (("s3:prefix", self.params["Prefix"]),))
            return
        place = f"{bucket}/{self.params['Key']}"
        if self.operation not in _S3 or "VersionId" in self.params:
            raise LookupError(f"which permission does s3.{self.operation} need?")
        yield Need(_S3[self.operation], place)
        if "IfMatch" in self.params:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html and conditional-deletes.html
            yield Need("s3:GetObject", place)
        if self.error in ("404", "NoSuchKey"):
            # To whoever may not list, S3 answers 403 instead. Of such a request it knows no prefix, so that a condition
            # on one would never hold: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
            yield Need("s3:ListBucket", bucket)
        if key := self.answer.get("SSEKMSKeyId"):
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
            action = "kms:GenerateDataKey" if self.operation == "PutObject" else "kms:Decrypt"
            yield Need(action, key, (("kms:ViaService", f"s3.{self.region}.amazonaws.com"),))

    def _needs_of_events(self) -> Iterator[Need]:
        action = f"events:{self.operation}"
        if self.operation == "PutEvents":
            # Of a global endpoint, either region may take the events.
            regions = (PRIMARY, SECONDARY) if "EndpointId" in self.params else (self.region,)
            for bus in sorted({entry["EventBusName"] for entry in self.params["Entries"]}):
                yield from (Need(action, _arn_of_bus(bus, region)) for region in regions)
        elif self.operation == "ListEndpoints":
            yield Need(action, "*")
        elif self.operation in _BUSES:
            yield Need(action, _arn_of_bus(self.params["Name"], self.region))
        elif self.operation == "ListRules":
            yield Need(action, "*")
        elif self.operation == "ListTargetsByRule":
            rule = f"{self.params['EventBusName']}/{self.params['Rule']}"
            yield Need(action, f"arn:aws:events:{self.region}:{ACCOUNT}:rule/{rule}")
        else:
            yield from setup_needs(self.service, self.operation, self.region, self.params)


def _arn_of_bus(bus: str, region: str) -> str:
    """The ARN of a bus in a region, where one of the same name may be."""
    account, name = bus.split(":", 5)[4:] if bus.startswith("arn:") else (ACCOUNT, f"event-bus/{bus}")
    return f"arn:aws:events:{region}:{account}:{name}"


def needs_of(calls: Iterable[Call]) -> list[Need]:
    """What all calls need, each only once."""
    return list(dict.fromkeys(need for call in calls for need in call.needs()))


def record(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """A list to which the calls of the code under test are added from now on, until ``monkeypatch`` is undone.

    Those of tests are made with explicit credentials (``LocalAws.client``), and are left out.
    """
    calls: list[Call] = []
    through_boto3, through_the_runtime = BaseClient._make_api_call, CrtTransport.send  # type: ignore[attr-defined]

    def noted(client: Any, operation: str, params: Mapping[str, Any]) -> Call:
        call = Call(client.meta.service_model.service_name, operation, client.meta.region_name, params)
        if client._request_signer._credentials.method != "explicit":
            calls.append(call)
        return call

    def make_api_call(client: Any, operation: str, params: Mapping[str, Any]) -> Any:
        call = noted(client, operation, params)
        try:
            call.answer = through_boto3(client, operation, params)
        except ClientError as error:
            call.error = str(error.response.get("Error", {}).get("Code"))
            raise
        return call.answer

    def send(transport: Any, operation: str, body: bytes, complete: Any) -> None:
        noted(transport._client, operation, parameters(transport._client.meta.service_model, body))
        through_the_runtime(transport, operation, body, complete)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)
    monkeypatch.setattr(CrtTransport, "send", send)
    return calls
