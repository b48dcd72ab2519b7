"""A whole run over an hour of hostile keys, event types and files, with limited memory: all good rows go, and once.

`tests/tools/hostile_run.py` delivers many more, each alone, and keys that moto can not list.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from tests.dags.conftest import Airflow
from tests.tools import hostile
from tests.tools.hostile import CUSTOM, HOUR
from tests.tools.hostile_sizes import CASES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

# The whole process, of which Airflow and the libraries are the most.
MOST_MB = 1_200
# Runs a command, and says the most memory that a process of it held, in KiB. A process begins with what its parent
# holds, and that counts as well: so its parent is this small one, and not that of the tests.
MEASURED = """
import resource, subprocess, sys
from pathlib import Path
code = subprocess.call(sys.argv[2:])
Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
MARK = "what the file says"
GOOD_TYPES = ["good", "users.messages.email.Open"]
ODD_TYPES = [
    "..",
    "a..b",
    "%2e%2e%2f",
    "%00",
    "a b+c",
    "\"quoted\" & 'quoted'",
    "{{ undefined() }}",
    "$(exit 1)",
    "a\u2028ERROR b",
    "\u202eright to left",
    "e\u0301 and é",
    "🙂",
    "event_type=event_type=x",
    "date=2020-01-01-00",
    "*",
]
ODD_NAMES = [
    "a..",
    "a/../b",
    "a//b",
    "%2F..%2F",
    "a\rERROR b\x1b[2J",
    "'\"`",
    "\u2028",
    "🙂",
    "a?b#c&d=e",
    "k" * 700,
    "date=x",
    "{{ ti }}",
]
BOMBS = [
    "300 rows of 5 MB, all alike",
    "a list of 5,000,000 nulls",
    "a list of 50,000,000 nulls",
    "texts that share their beginning in one page",
    "lists of 20,000 wide decimals",
    "1,000 event types",
    "Avro, symbols of 900 KB",
    "Avro, a row of 10 MB",
    "Avro, a block of a billion rows",
]
DAMAGED = {
    "text": MARK.encode(),
    "magic alone": b"PAR1",
    "a footer longer than the file": b"PAR1" + MARK.encode() + b"\xff\xff\xff\x7f" + b"PAR1",
    "Avro's magic": b"Obj\x01" + MARK.encode(),
    "gzip": hostile.files()["gzip"],
    "an error of S3": f"<Error><Message>{MARK}</Message></Error>".encode(),
    "half a file": hostile.parquet(hostile.table(name=[MARK] * 2))[:-40],
}


def whole(ids: list[str]) -> bytes:
    return hostile.parquet(hostile.table(id=ids, name=[MARK] * 2))


def put_all(airflow: Airflow) -> tuple[set[str], set[str]]:
    """Puts the hour's files, and returns the ids that must arrive, and the keys that must fail."""
    good: set[str] = set()
    bad: set[str] = set()
    numbers = count()

    def put_good(key: str) -> None:
        number = next(numbers)
        ids = [f"{number} a", f"{number} b"]
        airflow.put(key, whole(ids))
        good.update(ids)

    for event_type in (*GOOD_TYPES, *ODD_TYPES):
        put_good(f"in/event_type={event_type}/date={HOUR}/a.parquet")
    for name in ODD_NAMES:
        put_good(f"in/event_type={CUSTOM}/date={HOUR}/{name}")
    for name, body in DAMAGED.items():
        # Beside good files of its own slice, and with others in one.
        key = f"in/event_type={GOOD_TYPES[0]}/date={HOUR}/damaged {name}"
        airflow.put(key, body)
        bad.add(key)
    for number, name in enumerate(BOMBS):
        key = f"in/event_type=bomb {number}/date={HOUR}/{name}"
        airflow.put(key, CASES[name].make())
        bad |= {key} if CASES[name].fate == "failed" else set()
    # More than the name of an event type may have: its rows are parked.
    airflow.put(f"in/event_type={'x' * 300}/date={HOUR}/a", whole(["too long a", "too long b"]))
    return good, bad


def export(airflow: Airflow, log: Path) -> tuple[int, float, str]:
    """The exit code of a run, the most memory that its process held, in MB, and what it said."""
    memory = log.with_suffix(".memory")
    command = ["airflow", "dags", "test", "currents_export_test", "--conf", json.dumps({"hour": HOUR})]
    measured = [sys.executable, "-c", MEASURED, str(memory), *command]
    with log.open("wb") as sink:
        code = subprocess.call(measured, env=airflow.whole_environment(), stdout=sink, stderr=subprocess.STDOUT)
    return code, int(memory.read_text()) / 1024, log.read_text("utf-8", "replace")


def ids(airflow: Airflow) -> Counter[str]:
    return Counter(json.loads(entry["Detail"])["id"] for entry in airflow.aws.accepted())


def test_an_hour_of_hostile_files_harms_only_these(airflow: Airflow, tmp_path: Path) -> None:
    good, bad = put_all(airflow)
    code, memory, told = export(airflow, tmp_path / "first")
    assert code != 0, "what could not be read is open"
    manifest = airflow.manifest(HOUR)
    assert set(manifest["files"]["open"]) == bad
    assert all(reason.isprintable() and len(reason) < 2_500 for reason in manifest["files"]["open"].values())
    arrived = ids(airflow)
    assert good <= arrived.keys()
    assert set(arrived.values()) == {1}
    assert 100 < memory < MOST_MB
    assert MARK not in told
    raised = set(re.findall(r"^([\w.]+(?:Error|Exception)): ", told, re.MULTILINE))
    assert raised == {"currents_core.errors.DeliveryError"}, "of what it raised, nothing is a reader's"
    assert "\x1b[2J" not in told

    code, memory, told = export(airflow, tmp_path / "second")
    assert code != 0
    assert set(airflow.manifest(HOUR)["files"]["open"]) == bad
    assert ids(airflow) == arrived, "a rerun repeats nothing"
    assert memory < MOST_MB
    assert MARK not in told

    for key in bad:
        airflow.aws.client("s3").delete_object(Bucket=airflow.bucket, Key=key)
    code, _, told = export(airflow, tmp_path / "third")
    assert code == 0, told[-3000:]
    assert airflow.manifest(HOUR)["complete"]
    assert ids(airflow) == arrived
