"""Looks whether a package of a lock file has a known vulnerability.

    python -m tests.tools.audit [--lock requirements.lock] [--osv-url https://api.osv.dev/v1/query]

It asks OSV, or else PyPI, by pip-audit, and fails where there is one. Where neither answers, it says so and succeeds: a
build without a network is no fault of a package. pip-audit alone would call all packages good that a source does not
know; so a source only counts if it knows what is wrong with a release of long ago.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.tools.airflow_env import ROOT

SECONDS = 10
OSV = "https://api.osv.dev/v1/query"
# Its vulnerabilities are in every source: https://osv.dev/list?q=django&ecosystem=PyPI
KNOWN_BAD = "django==1.2"


def main(lock: Path, osv_url: str) -> int:
    """Prints what was found. Returns 1 where a package has a vulnerability."""
    for name, source in (("OSV", ["-s", "osv", "--osv-url", osv_url]), ("PyPI", ["-s", "pypi"])):
        if answers(source) and (found := asked(lock, source)) is not None:
            return told(found, name)
    print(
        f"NOT AUDITED: neither OSV nor PyPI answers, so nothing is known of {lock.name}; run it again", file=sys.stderr
    )
    return 0


def answers(source: list[str]) -> bool:
    """Whether a source knows vulnerabilities at all."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "known-bad.txt"
        lock.write_text(KNOWN_BAD)
        return any(each.get("vulns") for each in asked(lock, source) or ())


def asked(lock: Path, source: list[str]) -> list[dict[str, Any]] | None:
    """What a source says of each package, or None where it does not answer."""
    with tempfile.TemporaryDirectory() as folder:
        # Pinned versions need no resolving. Answers of before are not kept: they would outlive their truth.
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json", "--cache-dir", folder]
        run = subprocess.run(
            [sys.executable, "-m", "pip_audit", "-r", str(lock), *options, "--timeout", str(SECONDS), *source],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return list(json.loads(run.stdout)["dependencies"])
    except ValueError:
        return None


def told(found: list[dict[str, Any]], source: str) -> int:
    """Prints the vulnerabilities, and the packages that the source does not know. Returns 1 where there are any."""
    unknown = sorted(each["name"] for each in found if "skip_reason" in each)
    bad = [(each, vulnerability) for each in found for vulnerability in each.get("vulns", ())]
    for each, vulnerability in bad:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in {fixed}", file=sys.stderr)
    if unknown:
        print(f"NOT AUDITED: {source} does not know {', '.join(unknown)}", file=sys.stderr)
    print(f"{len(found) - len(unknown)} packages audited by {source}, {len(bad)} known vulnerabilities")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Looks whether locked packages have known vulnerabilities")
    parser.add_argument("--lock", type=Path, default=ROOT / "requirements.lock")
    parser.add_argument("--osv-url", default=OSV)
    arguments = parser.parse_args()
    sys.exit(main(arguments.lock, arguments.osv_url))
