"""The layout of a connector's state in its bucket. Keys are composed and parsed only here.

    <root>slices/date=<hour>/<slice>/head.json                          who has the slice, and what became of its files
    <root>slices/date=<hour>/<slice>/<claim>-<token>-<number>.ids       ids of accepted rows
    <root>slices/date=<hour>/<slice>/<claim>-<token>-<number>.letters   the records that could not be sent
    <root>slices/date=<hour>/<slice>/<claim>-<token>-<number>.files     states of files, where there are many
    <root>oversized/date=<hour>/<slice>/<SHA-256 of it>.json            an event of which a claim check was sent, whole
    <root>plans/date=<hour>/<hash of the content>.json                  a shard, or a look
    <root>manifests/date=<hour>.json                                    the account of an hour
    <root>overview/week=<date of its Monday>.json.gz                    each hour of a week in short
    <root>index.json                                                    what runs judged, so that later ones skip it
    <root>budget/<token>-<number>-<part>-<want>                         a task that sends, and what it wants
    <root>days/date=<date>/index.json.gz                                what became of a day that was compacted
    <root>days/date=<date>/<version>-<token>-<number>.<kind>            its pages: as above, and the manifests

A slice is `event_type=<type>`, or `unnamed` where the keys name no type. The root is `<state prefix><connector>/`.
Below it, `replays/<run>/` is a root of its own.

Versions of this project that knew no slices kept their state in `ledger/`, `ids/` and `dead_letters/`; see ``earlier``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from math import ceil
from typing import Literal, NamedTuple, get_args
from urllib.parse import quote

from currents_core.file_key import Slice, SourceFile
from currents_core.hour import is_hour

PageKind = Literal["ids", "letters", "files", "manifests"]
HoursKind = Literal["slices", "oversized", "plans", "manifests"]
EarlierKind = Literal["ledger", "ids", "dead_letters"]

HOURS: tuple[HoursKind, ...] = get_args(HoursKind)
EARLIER: tuple[EarlierKind, ...] = get_args(EarlierKind)
_FOLDERS = (*HOURS, *EARLIER, "overview", "budget", "days", "replays")
# The name of an event type in a key, at most. It leaves most of a key's 1,024 bytes to the prefix and the run.
_TYPE_BYTES = 200
_HEAD, _DAY_INDEX = "head.json", "index.json.gz"
# Keys have fractions of the budget as whole numbers of these.
_MILLIONTHS = 1_000_000


class Member(NamedTuple):
    """A task that sends, by its own ``token``: its ``part`` of the connector's budget, and how much of it it wants.

    Both are fractions. It never wants less than its part.
    """

    token: str
    part: float
    want: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys below ``root``, which is empty or ends in a slash. Folders end in a slash as well."""

    root: str = ""

    @property
    def folders(self) -> list[str]:
        """All folders right below the root, also those of earlier versions."""
        return [f"{self.root}{name}/" for name in _FOLDERS]

    def of_run(self, run_id: str) -> Layout:
        """The layout of the books that a replay keeps for itself, named after its Airflow run."""
        return Layout(f"{self.replays}{run_name(run_id)}/")

    @property
    def replays(self) -> str:
        """The folder of the layouts of all replays."""
        return f"{self.root}replays/"

    def slices(self, hour: str) -> str:
        """The folder of all slices of an hour."""
        return f"{self.root}slices/date={hour}/"

    def slice(self, place: Slice) -> str:
        """The folder of the head and the pages of a slice."""
        return f"{self.slices(place.hour)}{_slice_name(place)}/"

    def head(self, place: Slice) -> str:
        """The key of the head of a slice."""
        return f"{self.slice(place)}{_HEAD}"

    def page(self, place: Slice, name: str) -> str:
        """The key of a page of a slice. A name with a slash is that of an earlier version's object below the root."""
        return f"{self.root if '/' in name else self.slice(place)}{name}"

    def oversized(self, place: Slice, sha256: str) -> str:
        """The key of an event of a slice that is too large to be sent, with this SHA-256 in hexadecimal digits."""
        return f"{self.hours('oversized')}date={place.hour}/{_slice_name(place)}/{sha256}.json"

    def plan(self, hour: str, content_hash: str) -> str:
        """The key of a planned shard."""
        return f"{self.root}plans/date={hour}/{content_hash}.json"

    def earlier(self, kind: EarlierKind, hour: str = "") -> str:
        """The folder in which earlier versions kept what they knew of an hour, or of all hours."""
        return f"{self.root}{kind}/date={hour}/" if hour else f"{self.root}{kind}/"

    def earlier_ids(self, file: SourceFile, event_type: str) -> str:
        """The key under which earlier versions kept the ids of one type that a file brought."""
        return f"{self.earlier('ids', file.hour)}event_type={type_name(event_type)}/{file.id}"

    def index(self) -> str:
        """The key of the index of the connector."""
        return f"{self.root}index.json"

    def manifest(self, hour: str) -> str:
        """The key of the manifest of an hour."""
        return f"{self.root}manifests/date={hour}.json"

    def overview(self, monday: str = "") -> str:
        """The key of the overview of a week, or the folder of all of them."""
        return f"{self.root}overview/week={monday}.json.gz" if monday else f"{self.root}overview/"

    @property
    def budget(self) -> str:
        """The folder of the tasks that share the budget."""
        return f"{self.root}budget/"

    def member(self, member: Member, number: int) -> str:
        """The key under which a task says what it wants. ``number`` makes it one that was never used before."""
        part, want = (ceil(share * _MILLIONTHS) for share in (member.part, member.want))
        return f"{self.budget}{member.token}-{number}-{part}-{want}"

    def hours(self, kind: HoursKind, date: str = "") -> str:
        """What begins the keys of what is kept by the hour, of all days or of one."""
        return f"{self.root}{kind}/date={date}-" if date else f"{self.root}{kind}/"

    def day(self, date: str = "") -> str:
        """The folder of a compacted day, or of all of them."""
        return f"{self.root}days/date={date}/" if date else f"{self.root}days/"

    def day_index(self, date: str) -> str:
        """The key of the index of a compacted day."""
        return f"{self.day(date)}{_DAY_INDEX}"

    def day_page(self, date: str, name: str) -> str:
        """The name of a page of a compacted day as that of a page of any of its slices."""
        return f"{self.day(date)}{name}".removeprefix(self.root)


def is_oversized(key: str) -> bool:
    """Whether this is the key of an event that is too large to be sent."""
    return re.search(r"(^|/)oversized/date=[^/]+/[^/]+/[0-9a-f]{64}\.json\Z", key) is not None


def is_head(key: str) -> bool:
    """Whether this is the key of a head, rather than of a page."""
    return key.endswith(f"/{_HEAD}")


def is_day_index(key: str) -> bool:
    """Whether this is the key of the index of a day."""
    return key.endswith(f"/{_DAY_INDEX}")


def date_of(key: str) -> str | None:
    """The date of what a key or a folder is kept for; None if it is not kept by the hour or by the day."""
    found = re.findall(r"/date=(\d{4}-\d\d-\d\d)[-/]", key)
    return found[-1] if found else None


def hour_of_manifest(key: str) -> str | None:
    """The hour of the manifest with this key; None if it is the key of something else."""
    hour = key.rpartition("/date=")[2].removesuffix(".json")
    return hour if key.endswith(f"/date={hour}.json") and is_hour(hour) else None


def page_name(claim: int, token: str, number: int, kind: PageKind) -> str:
    """The name of a page. Nobody else can use it, as the token is the claim's own.

    The pages of a day have the number of the version of its index that first names them in place of the claim's.
    """
    return f"{claim:06}-{token}-{number}.{kind}"


def claim_of_page(key: str) -> int | None:
    """The number of the claim under which a page was written; None for keys of other objects."""
    found = re.fullmatch(r"(\d{6,})-\w+-\d+\.(ids|letters|files|manifests)", key.rpartition("/")[2])
    return int(found[1]) if found else None


def week_of_overview(key: str) -> str | None:
    """The date of the Monday of the week whose overview has this key; None for keys of other objects."""
    found = re.search(r"/overview/week=(\d{4}-\d\d-\d\d)\.json\.gz\Z", f"/{key}")
    return found[1] if found else None


def member_of(key: str) -> Member | None:
    """The task of a key, with fractions that are rounded up; None for keys of other objects."""
    found = re.fullmatch(r"(\w+)-\d+-(\d+)-(\d+)", key.rpartition("/")[2])
    return Member(found[1], int(found[2]) / _MILLIONTHS, int(found[3]) / _MILLIONTHS) if found else None


def _slice_name(place: Slice) -> str:
    return "unnamed" if place.event_type is None else f"event_type={type_name(place.event_type)}"


def type_name(event_type: str) -> str:
    """An event type, which files and keys name as they like, as part of a folder's name: percent-encoded.

    A long one is hashed. The `!` before a hash keeps it apart from every encoded type.
    """
    encoded = quote(event_type, safe="")
    return encoded if len(encoded) <= _TYPE_BYTES else f"!{hashlib.sha256(event_type.encode()).hexdigest()}"


def run_name(run_id: str) -> str:
    """The id of an Airflow run as the name of a folder, with `_` for each character that S3 keys should not contain.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    return re.sub(r"[^0-9A-Za-z._-]", "_", run_id)
