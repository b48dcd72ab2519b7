from __future__ import annotations

import pytest

from currents_airflow.page.render import coded, dag_of, dollars, moment, percent, short, size, span


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (short(999), "999"),
        (short(1_234), "1.2 k"),
        (short(34_000_000), "34 M"),
        (short(5e12), "5000 G"),
        (size(12), "12 B"),
        (size(1_200_000), "1.2 MB"),
        (span(None), "-"),
        (span(90), "90 s"),
        (span(-3_300), "0 s"),
        (span(720), "12 min"),
        (span(12_600), "3.5 h"),
        (span(181_440), "2.1 days"),
        (percent(0), "0 %"),
        (percent(0.003), "0.3 %"),
        (percent(0.12), "12 %"),
        (dollars(0), "$0.00"),
        (dollars(0.00004), "<$0.0001"),
        (dollars(0.0042), "$0.0042"),
        (dollars(1.234), "$1.23"),
        (dollars(1_234), "$1,234"),
        (moment("2026-11-23T09:20:05+00:00"), "2026-11-23 09:20:05 UTC"),
        (moment("2026-11-23T09:20:05+02:00"), "2026-11-23 07:20:05 UTC"),
        (moment("never"), "never"),
        (dag_of("orders", "scheduled"), "currents_export_orders"),
        (dag_of("orders", "redrive"), "currents_redrive"),
        (dag_of("orders", "automatic redrive"), "currents_redrive_orders"),
    ],
)
def test_values_are_short_and_readable(told: str, expected: str) -> None:
    assert told == expected


def test_only_backticks_make_code_and_the_rest_is_escaped() -> None:
    assert coded("has no `id`, or <b>") == "has no <code>id</code>, or &lt;b&gt;"
    assert coded("`<i>`") == "<code>&lt;i&gt;</code>"
