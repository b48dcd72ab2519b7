from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from currents_aws.dry_run import DryRunTarget
from currents_core.entry import Entries, Span
from currents_core.limits import EVENT_BUS
from currents_core.ports import SENT


def span(*details: str) -> Span:
    strings = pa.array([json.dumps(each) for each in details], pa.large_string())
    count = len(details)
    return Span(Entries(list(range(count)), "s", "a", strings, [0] * count, "r", [0] * count), 0, count)


def test_everything_is_accepted_and_only_counted() -> None:
    target, answers = DryRunTarget(EVENT_BUS), list[Any]()
    target.preflight()
    target.send([span("{}", '{"a":1}'), span("{}")], answers.append)
    target.send([span("{}")], answers.append)
    target.close()
    assert answers == [[SENT] * 3, [SENT]]
    assert (target.forecast.events, target.forecast.requests) == (4, 2)
