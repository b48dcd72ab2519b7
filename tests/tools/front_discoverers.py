"""EventBridge's schema discoverers: told apart, started and stopped.

A model of local AWS, which discovers nothing: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-infer.html
"""

from __future__ import annotations

import uuid
from typing import Any

from tests.tools.front_api import ACCOUNT, Call, Handler, only, page
from tests.tools.front_wire import Refused


def absent(kind: str, name: str) -> Refused:
    """What refuses a call for something that does not exist."""
    return Refused("NotFoundException", f"{kind} with name {name} does not exist.")


class Discoverers:
    """The discoverers of every region."""

    def __init__(self) -> None:
        self._discoverers: dict[tuple[str, str], dict[str, Any]] = {}

    def handlers(self) -> dict[str, Handler]:
        """The operations, by name."""
        return {
            "CreateDiscoverer": self.create,
            "DescribeDiscoverer": self.describe,
            "ListDiscoverers": self.list,
            "StartDiscoverer": self.start,
            "StopDiscoverer": self.stop,
            "DeleteDiscoverer": self.delete,
        }

    async def create(self, call: Call) -> dict[str, Any]:
        """CreateDiscoverer: it is STARTED. A source has one at most."""
        arn = call["SourceArn"]
        if any(each["SourceArn"] == arn for (region, _), each in self._discoverers.items() if region == call.region):
            raise Refused("ConflictException", f"A discoverer of {arn} already exists.")
        unique = str(uuid.uuid4())
        told = {
            "DiscovererArn": f"arn:aws:schemas:{call.region}:{ACCOUNT}:discoverer/{unique}",
            "DiscovererId": unique,
            "SourceArn": arn,
            "State": "STARTED",
            "CrossAccount": True,
            **call.chosen("Description", "CrossAccount", "tags"),
        }
        self._discoverers[call.region, unique] = told
        return told

    async def describe(self, call: Call) -> dict[str, Any]:
        """DescribeDiscoverer."""
        return self._find(call)

    async def list(self, call: Call) -> dict[str, Any]:
        """ListDiscoverers."""
        names = ("DiscovererArn", "DiscovererId", "SourceArn", "State", "CrossAccount", "tags")
        found = [
            only(each, names)
            for (region, unique), each in self._discoverers.items()
            if region == call.region
            and unique.startswith(call.get("discovererIdPrefix") or "")
            and each["SourceArn"].startswith(call.get("sourceArnPrefix") or "")
        ]
        discoverers, more = page(found, call, "limit", "nextToken")
        return {"Discoverers": discoverers, **more}

    async def start(self, call: Call) -> dict[str, Any]:
        """StartDiscoverer."""
        return self._turn(call, "STARTED")

    async def stop(self, call: Call) -> dict[str, Any]:
        """StopDiscoverer."""
        return self._turn(call, "STOPPED")

    async def delete(self, call: Call) -> dict[str, Any]:
        """DeleteDiscoverer."""
        del self._discoverers[call.region, self._find(call)["DiscovererId"]]
        return {}

    def _turn(self, call: Call, state: str) -> dict[str, Any]:
        found = self._find(call)
        found["State"] = state
        return only(found, ("DiscovererId", "State"))

    def _find(self, call: Call) -> dict[str, Any]:
        found = self._discoverers.get((call.region, call["discovererId"]))
        if found is None:
            raise absent("Discoverer", call["discovererId"])
        return found
