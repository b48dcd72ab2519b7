"""Delivers hostile files in a process of its own, with limited memory, each beside a good one.

    python -m tests.tools.hostile_run corpus | keys | fuzz <first seed> <seeds> | each <first seed> <seeds>

Prints lines of JSON for each file: its name before it is delivered, and then what became of it, with the seconds of
processor time that it took. A file that ends the process is one whose second line is missing. `fuzz` delivers several
damaged files together, which is faster; `each` delivers them one at a time.

    python -m tests.tools.hostile_run find <first seed> <seeds>

Does `fuzz` in processes of its own, as often as it takes, and tells which files met no fate.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile
from tests.tools import hostile
from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.house import House

# What a delivery may take on top of what the process has once everything is loaded.
_MEMORY = 1_000_000_000
# A file that hangs ends the process after so many seconds, however busy the machine is.
_PATIENCE = 120
# Files that are delivered together; if anything is odd, each is delivered again alone.
_TOGETHER = 25

Found = dict[str, Any]


def main(what: str, *numbers: str) -> None:
    """Delivers the files, and prints what became of them."""
    deliver({"warm-up": hostile.SAMPLE.body}, alone=True)
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + _MEMORY, virtual + _MEMORY))
    cases = _cases(what, *map(int, numbers))
    while batch := dict(islice(cases, _TOGETHER if what == "fuzz" else 1)):
        for name in batch:
            print(json.dumps({"name": name}), flush=True)
        signal.alarm(_PATIENCE)
        found = deliver(batch, alone=what != "fuzz")
        if any(is_odd(each) for each in found) and len(batch) > 1:
            found = [one for name, body in batch.items() for one in deliver({name: body}, alone=True)]
        for each in found:
            print(json.dumps(each), flush=True)


def is_odd(found: Found) -> bool:
    """Whether a file met no fate, or the good file beside it did not go, or it took far too long."""
    return found["outcome"] not in ("done", "failed") or not found["good"] or found["seconds"] > 10


def deliver(files: Mapping[str, bytes], *, alone: bool) -> list[Found]:
    """What becomes of some files that are delivered together with a good one; ``alone`` also without it."""
    house = House()
    if all(name.startswith("key ") for name in files):
        put = {name: _at(house, name.removeprefix("key "), body) for name, body in files.items()}
    else:
        put = {name: house.put(hostile.CUSTOM, f"{number}", body) for number, (name, body) in enumerate(files.items())}
    good = house.put("good", "good", hostile.parquet(hostile.table(id=["good 1", "good 2"])))
    began, error = time.process_time(), None
    try:
        if alone:
            house.deliver(*put.values())
    except Exception as raised:  # noqa: BLE001 - this is what is looked for
        error = raised
    try:
        house.deliver(*put.values(), good)
    except Exception as raised:  # noqa: BLE001
        error = raised
    seconds = time.process_time() - began
    went = house.ids()["good 1"] == house.ids()["good 2"] == 1
    return [
        {
            "name": name,
            "outcome": _outcome(house, file, error),
            "good": went,
            "seconds": round(seconds / len(files), 3),
            "codes": sorted({letter["code"] for letter in house.letters(file)}),
            "sent": sum(entry.resource == file.arn("aws") for entry in house.target.accepted),
        }
        for name, file in put.items()
    ]


def _at(house: House, key: str, body: bytes) -> SourceFile:
    house.source.write(key, body)
    return SourceFile("braze", key, house.source.etag(key), len(body))


def _outcome(house: House, file: SourceFile, error: Exception | None) -> str:
    state = house.states(file.hour).get(file.id)
    if state and state.account:
        return "done" if state.account.totals.balanced else f"unbalanced: {state.account.totals}"
    if state and state.fate == "failed":
        reason = state.reason
        return "failed" if reason.isprintable() and len(reason) < 2_500 else f"failed with {reason!r}"
    text = f"{type(error).__name__}: {error}"
    return f"open, {text if isinstance(error, CurrentsError) else text[:300]}"


def _cases(what: str, first: int = 0, count: int = 0) -> Iterator[tuple[str, bytes]]:
    if what == "corpus":
        yield from hostile.files().items()
    elif what == "keys":
        yield from ((f"key {key}", hostile.SAMPLE.body) for key in hostile.keys())  # noqa: SIM118 - a function
    else:
        forms = list(hostile.fuzzed().items())
        for seed in range(first, first + count):
            form, body = forms[seed % len(forms)]
            yield f"{form}, seed {seed}", hostile.mutations(body, seed)


def run(*arguments: str) -> dict[str, Found]:
    """What became of each file, by its name, from a process of its own; for one that ended it, that it did."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.hostile_run", *arguments],
        cwd=ROOT,
        # The limit is on addresses. With an arena for each thread, they would go to what holds nothing.
        env={"PYTHONPATH": PYTHONPATH, "PATH": "/usr/bin:/bin", "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Found] = {}
    for line in map(json.loads, done.stdout.splitlines()):
        found[line["name"]] = line
    why = "; ".join(done.stderr.splitlines()[-2:])
    ended = {"outcome": f"ended the process with {done.returncode}: {why}", "good": False, "seconds": 0}
    return {name: ended | each for name, each in found.items()}


def fuzz(first: int, count: int) -> dict[str, Found]:
    """What became of each damaged file, by its name, also after one that ended the process of the others."""
    found: dict[str, Found] = {}
    at, end = first, first + count
    while at < end:
        found |= run("fuzz", str(at), str(end - at))
        lost = [_seed(name) for name, each in found.items() if _ended(each) and _seed(name) >= at]
        if not lost:
            break
        alone = run("each", str(lost[0]), str(len(lost)))
        found |= alone
        at = 1 + next((_seed(name) for name, each in alone.items() if _ended(each)), lost[-1])
        found = {name: each for name, each in found.items() if _seed(name) < at}
    return found


def _seed(name: str) -> int:
    return int(name.rpartition(" ")[2])


def _ended(found: Found) -> bool:
    return str(found["outcome"]).startswith("ended")


def told(found: Iterable[Found]) -> str:
    """One line for each file that is odd."""
    return "\n".join(f"{each['name']}: {each['outcome']}, {each['seconds']} s" for each in found if is_odd(each))


if __name__ == "__main__":
    if sys.argv[1] == "find":
        sys.exit(told(fuzz(*map(int, sys.argv[2:])).values()) or None)
    main(*sys.argv[1:])
