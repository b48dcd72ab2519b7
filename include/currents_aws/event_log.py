"""Writes the events of a bus to a CloudWatch log group, so that people see what arrives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from currents_aws.asked import asked
from currents_aws.scrub import scrubbed
from currents_core.connecting.names import LOG_TARGET, log_group, log_rule
from currents_core.errors import SetupError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# Events hold personal data, and somebody looks at them at once or never.
_DAYS = 3
# An account has ten such policies at most, so all buses share one.
# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
_POLICY = "currents-events-to-logs"
_WRITERS = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
_EXISTS = "ResourceAlreadyExistsException"


@dataclass(frozen=True)
class EventLog:
    """The log group of a bus with this ARN, by clients of the services `events` and `logs` of its account."""

    events: EventBridgeClient
    logs: Any
    bus: str

    @property
    def group(self) -> str:
        """The name of the log group."""
        return log_group(self._bus_name)

    def turn_on(self, source: str) -> None:
        """Has the events with this `source` written to the log group, which is made where it is missing.

        Raises SetupError if AWS refuses, TransientError if the call may work later. Repeating it changes nothing.

        Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        """
        self._make_group()
        arn = self._arn("*")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": _WRITERS},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{arn}:*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        told = {"policyName": _POLICY, "policyDocument": policy}
        asked(self.logs.put_resource_policy, f"log policy {_POLICY}", "creation failed", **told)
        self._make_rule(source)

    def _make_group(self) -> None:
        uri = f"log group {self.group}"
        asked(self.logs.create_log_group, uri, "creation failed", _EXISTS, logGroupName=self.group)
        found = asked(self.logs.describe_log_groups, uri, "lookup failed", logGroupNamePrefix=self.group)["logGroups"]
        # Whoever chose how long it keeps events has a reason.
        if not any(each["logGroupName"] == self.group and "retentionInDays" in each for each in found):
            told: dict[str, Any] = {"logGroupName": self.group, "retentionInDays": _DAYS}
            asked(self.logs.put_retention_policy, uri, "update failed", **told)

    def _make_rule(self, source: str) -> None:
        rule = log_rule(source)
        uri = f"rule {rule} on {self.bus}"
        pattern = json.dumps({"source": [source]})
        told = {"Name": rule, "EventBusName": self._bus_name, "EventPattern": pattern}
        asked(self.events.put_rule, uri, "creation failed", **told)
        targets = [{"Id": LOG_TARGET, "Arn": self._arn(self._bus_name)}]
        told_target: dict[str, Any] = {"Rule": rule, "EventBusName": self._bus_name, "Targets": targets}
        answer = asked(self.events.put_targets, uri, "setting its target failed", **told_target)
        for failed in answer.get("FailedEntries", ()):
            code, message = scrubbed(failed.get("ErrorCode", "")), scrubbed(failed.get("ErrorMessage", ""))
            raise SetupError(f"its target was refused: {code}: {message}; correct that, then clear the task", uri=uri)

    @property
    def _bus_name(self) -> str:
        return self.bus.partition(":event-bus/")[2]

    def _arn(self, bus: str) -> str:
        """The ARN of the log group of a bus, in the bus's account."""
        _, partition, _, region, account, _ = self.bus.split(":", 5)
        return f"arn:{partition}:logs:{region}:{account}:log-group:{log_group(bus)}"
