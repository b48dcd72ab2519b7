"""Global endpoints: one address for the bus of the same name in two regions.

A model of local AWS, since moto has none. It sends to the primary region alone: health checks and replication are none
of it. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-global-endpoints.html
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.tools.front_api import ACCOUNT, Call, Handler, only, page
from tests.tools.front_clock import Clock
from tests.tools.front_wire import Refused

# Creation and deletion are asynchronous; how long they take is not published.
CHANGE_SECONDS = 1.0
KEPT = ("Description", "RoutingConfig", "ReplicationConfig", "EventBuses", "RoleArn")
CREATED = ("Name", "Arn", "RoutingConfig", "ReplicationConfig", "EventBuses", "RoleArn", "State")


@dataclass
class Endpoint:
    """An endpoint, by the times at which its creation and its deletion began."""

    name: str
    endpoint_id: str
    region: str
    created: datetime
    told: dict[str, Any]
    deleted: datetime | None = None

    @property
    def buses(self) -> dict[str, str]:
        """The names of its buses, by region: they are the same."""
        arns = [each["EventBusArn"].split(":", 5) for each in self.told["EventBuses"]]
        return {arn[3]: arn[5].removeprefix("event-bus/") for arn in arns}

    def state(self, now: datetime) -> str | None:
        """Its state; None once it is gone."""
        if self.deleted:
            return "DELETING" if (now - self.deleted).total_seconds() < CHANGE_SECONDS else None
        return "CREATING" if (now - self.created).total_seconds() < CHANGE_SECONDS else "ACTIVE"

    def describe(self, now: datetime) -> dict[str, Any]:
        """All that DescribeEndpoint tells."""
        return {
            "Name": self.name,
            "Arn": f"arn:aws:events:{self.region}:{ACCOUNT}:endpoint/{self.name}",
            "EndpointId": self.endpoint_id,
            "EndpointUrl": f"https://{self.endpoint_id}.endpoint.events.amazonaws.com",
            "State": self.state(now),
            "CreationTime": self.created,
            "LastModifiedTime": self.deleted or self.created,
            **self.told,
        }


class Endpoints:
    """The endpoints of every region that is a primary one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._endpoints: list[Endpoint] = []

    def handlers(self) -> dict[str, Handler]:
        """The operations, by name."""
        return {
            "CreateEndpoint": self.create,
            "DescribeEndpoint": self.describe,
            "ListEndpoints": self.list_endpoints,
            "DeleteEndpoint": self.delete,
        }

    def active(self, endpoint_id: str) -> Endpoint:
        """The endpoint of an id, in whatever region. Raises Refused where it takes no events.

        What AWS answers then is not documented. The host of an endpoint that does not exist resolves to no address, so
        only a request to another host can tell.
        """
        now = self._clock.now()
        for endpoint in self._endpoints:
            if endpoint.endpoint_id == endpoint_id and endpoint.state(now) == "ACTIVE":
                return endpoint
        raise Refused("ValidationException", f"Endpoint {endpoint_id} does not exist.")

    async def create(self, call: Call) -> dict[str, Any]:
        """CreateEndpoint: the endpoint is CREATING for a moment."""
        now = self._clock.now()
        if any(each.name == call["Name"] for each in self._there(call.region)):
            raise Refused("ResourceAlreadyExistsException", f"Endpoint {call['Name']} already exists.")
        endpoint_id = f"{''.join(secrets.choice(string.ascii_lowercase) for _ in range(10))}.veo"
        endpoint = Endpoint(call["Name"], endpoint_id, call.region, now, call.chosen(*KEPT))
        self._check(endpoint, call)
        self._endpoints.append(endpoint)
        return only(endpoint.describe(now), CREATED)

    async def describe(self, call: Call) -> dict[str, Any]:
        """DescribeEndpoint."""
        return self._find(call).describe(self._clock.now())

    async def list_endpoints(self, call: Call) -> dict[str, Any]:
        """ListEndpoints: those whose primary region is asked, or named as their home region."""
        prefix = call.get("NamePrefix") or ""
        there = [each for each in self._there(call.get("HomeRegion") or call.region) if each.name.startswith(prefix)]
        found, more = page([each.describe(self._clock.now()) for each in there], call, "MaxResults")
        return {"Endpoints": found, **more}

    async def delete(self, call: Call) -> dict[str, Any]:
        """DeleteEndpoint: the endpoint is DELETING for a moment."""
        self._find(call).deleted = self._clock.now()
        return {}

    def _there(self, region: str) -> list[Endpoint]:
        now = self._clock.now()
        return [each for each in self._endpoints if each.region == region and each.state(now)]

    def _find(self, call: Call) -> Endpoint:
        for endpoint in self._there(call.get("HomeRegion") or call.region):
            if endpoint.name == call["Name"]:
                return endpoint
        raise Refused("ResourceNotFoundException", f"Endpoint {call['Name']} does not exist.")

    def _check(self, endpoint: Endpoint, call: Call) -> None:
        """Raises Refused where the parameters of an endpoint contradict each other."""
        secondary = call["RoutingConfig"]["FailoverConfig"]["Secondary"]["Route"]
        if set(endpoint.buses) != {call.region, secondary} or len(set(endpoint.buses.values())) != 1:
            reason = "One event bus must be in each of the two regions, and their names must be identical."
            raise Refused(call.invalid, reason)
        replicates = (call.get("ReplicationConfig") or {}).get("State", "ENABLED") == "ENABLED"
        if replicates and not call.get("RoleArn"):
            raise Refused(call.invalid, "Replication is enabled, so RoleArn is needed.")
