from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from currents_core.connecting.names import archive_name, log_group

BUSES = st.from_regex(r"[/.\-_A-Za-z0-9]{1,256}", fullmatch=True)


@given(BUSES)
def test_every_bus_has_an_archive_with_a_name_that_aws_takes(bus: str) -> None:
    assert re.fullmatch(r"[.\-_A-Za-z0-9]{1,48}", archive_name(bus))


@given(BUSES, BUSES)
def test_buses_do_not_share_archives(one: str, other: str) -> None:
    assert (archive_name(one) == archive_name(other)) == (one == other)


def test_what_needs_no_change_keeps_its_name() -> None:
    assert archive_name("braze-events") == "braze-events"
    assert log_group("braze-events") == "/aws/events/braze-events"
