from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from currents_airflow.deadline import HourEnd
from currents_core.hour import format_hour

NOW = datetime.now(UTC)
LAST = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("run", "end"),
    [
        (SimpleNamespace(run_type="scheduled", partition_key=format_hour(LAST)), LAST + timedelta(hours=1)),
        (SimpleNamespace(run_type="scheduled", partition_key=format_hour(LAST - timedelta(hours=2))), None),
        (SimpleNamespace(run_type="scheduled", partition_key=None), None),
        (SimpleNamespace(run_type="backfill", partition_key=format_hour(LAST)), None),
        (SimpleNamespace(run_type="manual", partition_key=None), None),
        (None, None),
    ],
    ids=["the last hour", "an older hour", "no hour", "a backfill", "by hand", "no such run"],
)
def test_only_scheduled_runs_of_an_hour_just_over_have_a_deadline(run: Any, end: datetime | None) -> None:
    session: Any = SimpleNamespace(scalar=lambda _: run)
    assert HourEnd()._evaluate_with(session=session, dag_id="d", run_id="r") == end
