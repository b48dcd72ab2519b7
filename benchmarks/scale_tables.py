"""The tables of the benchmarks of scale: every figure beside the first one of its own run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from benchmarks.billion import Load, Measured, Need, classic_need, custom_need, regions
from benchmarks.scale_airflow import Costs
from benchmarks.scale_hours import Month
from benchmarks.scale_run import STEPS, Figures, billed
from benchmarks.scale_workers import Team


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD)


def of_workers(teams: Mapping[int, Sequence[Team]], custom: Sequence[Team], cores: int) -> Table:
    """Workers against one worker: medians of the rounds, and the least and most of the ratio."""
    title = f"Deliveries at a time, 1 KB events, {cores} cores that nginx shares"
    columns = ("workers", "events/s", "against 1", "CPU µs\nan event", "against 1", "cores:\nworkers", "\nnginx")
    table = _table(title, *columns, "\nothers", "peak,\nMB each", "held up by")
    table.caption = "A worker here is a bare process with files and state in memory: neither S3 nor Celery."
    table.caption_justify = "left"
    first = teams[min(teams)]
    for count, rounds in teams.items():
        rates = [each.rate / one.rate for each, one in zip(rounds, first, strict=True)]
        costs = [each.cpu_per_event / one.cpu_per_event for each, one in zip(rounds, first, strict=True)]
        table.add_row(f"{count}", *_team(rounds, rates, costs, cores))
    rates = [each.rate / one.rate for each, one in zip(custom, first, strict=True)]
    costs = [each.cpu_per_event / one.cpu_per_event for each, one in zip(custom, first, strict=True)]
    table.add_row("1, custom bus", *_team(custom, rates, costs, cores))
    return table


def _team(rounds: Sequence[Team], rates: Sequence[float], costs: Sequence[float], cores: int) -> list[str]:
    used = [(each.cpu / each.seconds, each.sink / each.seconds, each.others / each.seconds) for each in rounds]
    return [
        f"{statistics.median(each.rate for each in rounds):,.0f}",
        f"{statistics.median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})",
        f"{statistics.median(each.cpu_per_event for each in rounds):.1f}",
        f"{statistics.median(costs):.2f}",
        *(f"{statistics.median(each):.2f}" for each in zip(*used, strict=True)),
        f"{max(each.peak for each in rounds):,.0f}",
        statistics.mode(each.binds(cores) for each in rounds),
    ]


def of_files(found: Mapping[int, Figures], late: tuple[int, Figures], latency: float) -> Table:
    """Hours of many files; what a file costs, against the row before."""
    columns = ("files", "seconds:\ndiscover", "\ndeliver", "\nreconcile", "ms\na file", "ms a file,\nagainst before")
    table = _table(
        "Small files of one event type in an hour, one task",
        *columns,
        "CPU ms\na file",
        "S3 requests\na file",
        "peak,\nMB",
    )
    before: float | None = None
    for count, figures in found.items():
        each = figures.total.seconds / count
        ratio = f"{each / before:.2f}" if before else ""
        table.add_row(f"{count:,}", *_hour(count, figures, ratio))
        before = each
    count, figures = late
    base = found.get(count)
    ratio = f"{figures.total.seconds / base.total.seconds:.2f} of it at once" if base else ""
    table.add_row(f"{count:,}, S3 answers\nafter {latency * 1e3:.0f} ms", *_hour(count, figures, ratio))
    return table


def _hour(count: int, figures: Figures, ratio: str) -> list[str]:
    total = figures.total
    return [
        *(f"{figures.steps[name].seconds:,.1f}" for name in STEPS),
        f"{total.seconds / count * 1e3:,.2f}",
        ratio,
        f"{total.cpu / count * 1e3:,.2f}",
        f"{total.all_requests / count:,.2f}",
        f"{figures.peak:,.0f}",
    ]


def of_rows(found: Sequence[tuple[int, float, Figures]]) -> Table:
    """Files of many rows, against the first."""
    columns = ("rows", "file, MB", "seconds", "events/s", "against\nthe first", "CPU µs\nan event", "peak, MB")
    table = _table("One file", *columns, "against\nthe first")
    first: Figures | None = None
    for rows, megabytes, figures in found:
        first = first or figures
        rate, ratio = _rate(figures), _rate(figures) / _rate(first)
        told = (f"{rows:,}", f"{megabytes:.1f}", f"{figures.total.seconds:,.1f}", f"{rate:,.0f}", f"{ratio:.2f}")
        table.add_row(*told, f"{_cpu(figures):.1f}", f"{figures.peak:,.0f}", f"{figures.peak / first.peak:.2f}")
    return table


def _rate(figures: Figures) -> float:
    """Events a second of a delivery."""
    return figures.sent / figures.steps["deliver"].seconds


def _cpu(figures: Figures) -> float:
    """Microseconds of CPU that a delivery took for an event."""
    return figures.steps["deliver"].cpu / figures.sent * 1e6


def of_month(found: Month) -> Table:
    """The same hours in two ways, without Airflow's own cost."""
    columns = ("", "runs", "tasks", "seconds", "CPU s", "S3 requests", "an hour", "read", "written\nor listed")
    table = _table(f"{found.hours:,} hours, without Airflow", *columns)
    for name, runs, figures in (("runs of a backfill", found.hours, found.runs), ("one stretch", 1, found.stretch)):
        table.add_row(name, f"{runs:,}", f"{figures.tasks:,}", *_requests(figures, found.hours))
    ours, base = found.runs.total, found.stretch.total
    ratios = (ours.seconds / base.seconds, ours.cpu / base.cpu, ours.all_requests / base.all_requests)
    table.add_row("ratio", "", "", *(f"{each:.1f}" for each in ratios))
    return table


def _requests(figures: Figures, hours: int) -> list[str]:
    total = figures.total
    reads, writes = billed(total.requests)
    told = [
        f"{total.seconds:,.1f}",
        f"{total.cpu:,.1f}",
        f"{total.all_requests:,}",
        f"{total.all_requests / hours:,.1f}",
    ]
    return [*told, f"{reads:,}", f"{writes:,}"]


def of_empty_hour(figures: Figures, types: int) -> Table:
    """What an hour without files costs, step by step."""
    columns = ("step", "seconds", "CPU s", "S3 requests", "read", "written", "listed")
    title = f"An hour without files after 72 full ones, {types} types: {figures.tasks} tasks"
    table = _table(title, *columns)
    for name, step in {**figures.steps, "all": figures.total}.items():
        kinds = (f"{step.requests.get(kind, 0):,}" for kind in ("GET", "PUT", "LIST"))
        table.add_row(name, f"{step.seconds:.2f}", f"{step.cpu:.2f}", f"{step.all_requests:,}", *kinds)
    return table


def of_airflow(costs: Costs, hours: int) -> Table:
    """What runs cost on a cluster, and what a month of them would."""
    columns = ("", "runs", "tasks", "seconds", "seconds\na run", "CPU s", "CPU s\na run", "CPU s\na task")
    title = f"Airflow's cluster with one worker; at rest it takes {costs.rest:.2f} cores"
    table = _table(title, *columns)
    for name, cost in {
        f"{costs.hours} hours as a backfill": costs.backfill,
        f"{costs.hours} hours as one stretch": costs.stretch,
        "an hour without files": costs.empty,
    }.items():
        told = (f"{cost.runs}", f"{cost.tasks}", f"{cost.seconds:,.0f}", f"{cost.seconds / cost.runs:,.1f}")
        table.add_row(name, *told, f"{cost.cpu:,.0f}", f"{cost.cpu / cost.runs:,.1f}", f"{cost.cpu / cost.tasks:,.1f}")
    ratio = (costs.backfill.seconds / costs.stretch.seconds, costs.backfill.cpu / costs.stretch.cpu)
    table.add_row("backfill against stretch", "", "", f"{ratio[0]:.1f}", "", f"{ratio[1]:.1f}")
    factor = hours / costs.hours
    more = (f"{costs.backfill.seconds * factor:,.0f}", "", f"{costs.backfill.cpu * factor:,.0f}")
    table.add_row(
        f"EXTRAPOLATED: {hours} hours as a backfill", f"{hours}", f"{costs.backfill.tasks * factor:,.0f}", *more
    )
    return table


def measured(
    teams: Mapping[int, Sequence[Team]],
    custom: Sequence[Team],
    files: Mapping[int, Figures],
    rows: Sequence[tuple[int, float, Figures]],
    airflow: Costs,
) -> Measured:
    """What the paper on a billion events takes from the other parts.

    An event costs what it did in the dearest of the files read from S3. A custom bus was measured in memory alone;
    reading from S3 is taken to add as much to that as it does with a classic bus.
    """
    alone, most = teams[min(teams)], max(files)
    stored = [figures for _, _, figures in rows]
    classic = max(_cpu(each) for each in stored)
    sending = statistics.median(each.cpu_per_event for each in alone)
    reads, _ = billed(files[most].total.requests)
    # Listings and checkpoints are counted apart.
    return Measured(
        classic=classic,
        custom=statistics.median(each.cpu_per_event for each in custom) + classic - sending,
        alone=min(_rate(each) for each in stored),
        reads=reads / most,
        writes=files[most].total.requests.get("PUT", 0) / most,
        task=airflow.backfill.cpu / airflow.backfill.tasks,
    )


def of_billion(load: Load, found: Measured) -> Table:
    """What each kind of bus needs."""
    title = (
        f"{load.events:,.0f} events a day, ON PAPER; busiest hour {load.peak:g} times the mean, sent in half an hour"
    )
    table = _table(title, "", "event_bus", "custom_bus")
    table.caption = (
        f"Taken as given: {load.rows:,} rows a file, {load.types} event types, events of up to {load.kilobytes} KB, "
        "and list prices of November 2026; that of a custom bus is a third party's. Its CPU is reckoned: what sending "
        "took, with files in memory, and what reading them from S3 adds to a classic bus. Airflow's other parts, their "
        "database and queue, and what the state takes in S3 cost besides."
    )
    table.caption_justify = "left"
    needs = (classic_need(load, found), custom_need(load, found))
    for row in _needs(load, found, needs):
        table.add_row(*row)
    for region, default, what in regions(needs[0]):
        table.add_row(f"PutEvents quota, {region}", f"{default:,}/s: {what}", "does not apply")
    return table


def _needs(load: Load, found: Measured, needs: tuple[Need, Need]) -> list[tuple[str, ...]]:
    classic, custom = needs
    quotas = (f"{classic.request_quota:,.0f} requests/s", f"{custom.event_quota:,.0f} events/s of 500,000")
    double = f"${load.events / 1e6 * 0.4:,.0f}"
    return [
        ("events/s, mean", *[f"{load.mean:,.0f}"] * 2),
        ("events/s, peak", *(f"{each.events:,.0f}" for each in needs)),
        ("requests/s to EventBridge, peak", *(f"{each.requests:,.0f}" for each in needs)),
        (f"quota, of which {load.share:.0%} is used", *quotas),
        ("CPU µs an event, read from S3", f"{found.classic:.1f}", f"{found.custom:.1f}"),
        (f"cores to deliver, {load.busy:.0%} busy", *(f"{each.cores:.1f}" for each in needs)),
        ("cores for Airflow's tasks, 202 an hour", *(f"{each.airflow:.1f}" for each in needs)),
        ("workers of two cores", *(f"{each.workers}" for each in needs)),
        (f"minutes of the largest type, {load.largest:.0%}", *(f"{each.largest_minutes:.0f}" for each in needs)),
        ("S3 files a day", *[f"{load.files:,.0f}"] * 2),
        ("S3 requests a day, read", *(f"{each.reads:,.0f}" for each in needs)),
        ("S3 requests a day, written or listed", *(f"{each.writes:,.0f}" for each in needs)),
        ("EventBridge a day", *(f"${each.bus_dollars:,.0f}" for each in needs)),
        ("the same, events of 1 to 2 KB", f"${classic.bus_dollars:,.0f}", double),
        ("S3 requests a day, dollars", *(f"${each.s3_dollars:,.2f}" for each in needs)),
        ("workers a day, dollars", *(f"${each.compute_dollars:,.2f}" for each in needs)),
        ("all a day", *(f"${each.dollars:,.0f}" for each in needs)),
    ]
