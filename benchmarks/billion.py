"""What a billion events a day need, on paper: from what was measured, AWS's default quotas, and its list prices.

Nothing here was run. Each assumption is a field with its reason, so that whoever has other figures can put them in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from currents_core.delivering.keep import BEAT_SECONDS
from currents_core.finding.shard import MAX_SHARDS
from currents_core.limits import CUSTOM_BUS, EVENT_BUS, put_events_quota
from currents_core.setup.settings import Budget

DAY, HOUR = 86_400, 3_600
# Dollars, in us-east-1, as of November 2026.
# Source: https://aws.amazon.com/eventbridge/pricing, for each 64 KB of an event
CLASSIC_MILLION = 1.00
# For each KB of an event. Not AWS's: a third party's measurement of October 2026, as in README.md.
CUSTOM_MILLION_KB = 0.20
# Source: https://aws.amazon.com/s3/pricing, S3 Standard
S3_READ, S3_WRITE = 0.0004 / 1_000, 0.005 / 1_000
# Source: https://aws.amazon.com/fargate/pricing, Linux on x86: an hour of a virtual CPU, and of a GB of memory
CPU_HOUR, GIGABYTE_HOUR = 0.04048, 0.004445
# Regions with each of the largest default quotas of PutEvents, and one with the smallest.
REGIONS = ("us-east-1", "eu-central-1", "eu-west-2", "eu-north-1", "me-south-1")


@dataclass(frozen=True)
class Load:
    """What arrives, and how fast it is to be gone.

    - events: of a day
    - peak: the busiest hour over the mean one; campaigns go out at certain times
    - minutes: in which the files of an hour are to be sent, so that as much is left to catch up after an outage
    - kilobytes: of an event, whole ones as billed; the middle of Braze's events is 0.7 to 1.0 as JSON
    - rows: of a full file, as Braze writes them: every five minutes, or after so many events
    - types: event types in use, all of Braze's
    - largest: the share of the largest event type in the events
    - lookback: hours that each run lists again, as by default
    - share: of the quota that the exporter may use, as by default
    - busy: how busy a core may be at the peak
    - tasks: that deliver at a time, as by default
    - memory: gigabytes a core
    """

    events: float = 1e9
    peak: float = 2.0
    minutes: float = 30.0
    kilobytes: int = 1
    rows: int = 15_000
    types: int = 94
    largest: float = 0.3
    lookback: int = 72
    share: float = Budget().share_of_quota
    busy: float = 0.6
    tasks: int = Budget().slots
    memory: float = 4.0

    @property
    def mean(self) -> float:
        """Events a second, over the day."""
        return self.events / DAY

    @property
    def rate(self) -> float:
        """Events a second while the busiest hour is sent."""
        return self.mean * self.peak * 60 / self.minutes

    @property
    def files(self) -> float:
        """Files a day, at most: the full ones, and one that is not full for each event type and five minutes."""
        return self.events / self.rows + self.types * DAY / 300


@dataclass(frozen=True)
class Measured:
    """What the benchmarks of the same run found.

    - classic, custom: microseconds of CPU an event, read from S3
    - alone: events a second of one task that has a core to itself, read from S3
    - reads, writes: S3 requests a file, those of the state among them; listings are counted apart
    - task: seconds of CPU that Airflow takes for a task
    """

    classic: float
    custom: float
    alone: float
    reads: float
    writes: float
    task: float


@dataclass(frozen=True)
class Need:
    """What one kind of bus needs. Rates are of a second at the peak, the others of a day."""

    events: float
    requests: float
    request_quota: float | None
    event_quota: float | None
    cores: float
    airflow: float
    largest_minutes: float
    reads: float
    writes: float
    bus_dollars: float
    s3_dollars: float
    compute_dollars: float

    @property
    def workers(self) -> int:
        """Workers of two cores each."""
        return ceil((self.cores + self.airflow) / 2)

    @property
    def dollars(self) -> float:
        """All of it, a day."""
        return self.bus_dollars + self.s3_dollars + self.compute_dollars


def classic_need(load: Load, measured: Measured) -> Need:
    """What a classic bus needs: it is billed by events of up to 64 KB, and its quota is of requests."""
    requests = load.rate / EVENT_BUS.entries_per_request
    price = load.events / 1e6 * CLASSIC_MILLION * ceil(load.kilobytes / 64)
    return _need(
        load, measured, cpu=measured.classic, requests=requests, price=price, request_quota=requests / load.share
    )


def custom_need(load: Load, measured: Measured) -> Need:
    """What a custom bus needs: it is billed by the KB, and its quota is of events."""
    per_request = min(CUSTOM_BUS.entries_per_request, CUSTOM_BUS.bytes_per_request // (load.kilobytes * 1_000))
    price = load.events / 1e6 * CUSTOM_MILLION_KB * load.kilobytes
    requests = load.rate / per_request
    return _need(
        load, measured, cpu=measured.custom, requests=requests, price=price, event_quota=load.rate / load.share
    )


def regions(need: Need) -> Iterator[tuple[str, int, str]]:
    """For each of some regions its default quota of PutEvents, and what to ask for."""
    wanted = need.request_quota or 0.0
    for region in REGIONS:
        default = put_events_quota(region)
        yield region, default, "enough" if wanted <= default else f"ask for {_up(wanted):,}"


def _need(
    load: Load,
    measured: Measured,
    *,
    cpu: float,
    requests: float,
    price: float,
    request_quota: float | None = None,
    event_quota: float | None = None,
) -> Need:
    cores = load.rate * cpu / 1e6 / load.busy
    # One discovers and one reconciles.
    airflow = (MAX_SHARDS + 2) * measured.task / HOUR / load.busy
    reads = load.files * measured.reads
    writes = load.files * measured.writes + _listings(load) + _swaps(load)
    paid = ceil((cores + airflow) / 2) * 2
    return Need(
        events=load.rate,
        requests=requests,
        request_quota=request_quota,
        event_quota=event_quota,
        cores=cores,
        airflow=airflow,
        largest_minutes=load.mean * load.peak * HOUR * load.largest / measured.alone / 60,
        reads=reads,
        writes=writes,
        bus_dollars=price,
        s3_dollars=reads * S3_READ + writes * S3_WRITE,
        compute_dollars=paid * 24 * (CPU_HOUR + load.memory * GIGABYTE_HOUR),
    )


def _listings(load: Load) -> float:
    """Listings a day: each hour's run lists its window, a page for each type and for each thousand files."""
    window = load.files / 24 * (load.lookback + 1)
    return 24 * (load.types + window / 1_000)


def _swaps(load: Load) -> float:
    """What checkpoints write a day, at most: a page of ids and the head, each beat of each task that delivers."""
    return 24 * load.minutes * 60 / BEAT_SECONDS * load.tasks * 2


def _up(figure: float) -> int:
    """The figure as one asks for it: rounded up to whole hundreds."""
    return ceil(figure / 100) * 100
