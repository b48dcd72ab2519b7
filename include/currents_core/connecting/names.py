"""The names of what is set up beside a bus. They follow from the name of the bus, so that a rerun finds them."""

from __future__ import annotations

import hashlib
import re

# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateArchive.html
_LONGEST_ARCHIVE = 48
_NOT_IN_ARCHIVES = re.compile(r"[^.\-_A-Za-z0-9]")
_MARK = 8

# The target of the rules that write events to a log group.
LOG_TARGET = "log"
# The beginning of the names of schema registries.
REGISTRY_PREFIX = "braze-currents"


def archive_name(bus: str) -> str:
    """The name of the archive of a bus: that of the bus, or its beginning and a hash where an archive can't have it."""
    if len(bus) <= _LONGEST_ARCHIVE and not _NOT_IN_ARCHIVES.search(bus):
        return bus
    mark = hashlib.sha256(bus.encode()).hexdigest()[:_MARK]
    return f"{_NOT_IN_ARCHIVES.sub('-', bus)[: _LONGEST_ARCHIVE - _MARK - 1]}-{mark}"


def log_rule(source: str) -> str:
    """The name of the rule that writes events with this `source` to a log group. Connectors may share a bus."""
    return f"currents-log-events-{hashlib.sha256(source.encode()).hexdigest()[:_MARK]}"


def log_group(bus: str) -> str:
    """The name of the log group for the events of a bus. EventBridge wants it to begin so.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-cloudwatchlogs-permissions
    """
    return f"/aws/events/{bus}"
