"""The audit of the locks, by pip-audit and a source of its own on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.tools import audit

FIXED = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}


class Source(ThreadingHTTPServer):
    """A source in OSV's protocol: https://google.github.io/osv.dev/post-v1-query/."""

    bad: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/query"


class Answers(BaseHTTPRequestHandler):
    server: Source

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name, found = asked["package"]["name"], self.server.bad.get(asked["package"]["name"])
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [FIXED]}]
        told: dict[str, Any] = {"vulns": [{"id": found, "aliases": [], "affected": affected}]} if found else {}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Source(("127.0.0.1", 0), Answers) as server:
        server.bad = {"django": "GHSA-0000"}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "some.lock"
    path.write_text("good==1.0\nbad==1.0\n    # via good\n")
    return path


def test_a_vulnerability_fails(source: Source, lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source.bad["bad"] = "GHSA-1234"
    assert audit.main(lock, source.url) == 1
    said = capsys.readouterr()
    assert said.err == "bad 1.0: GHSA-1234, fixed in 1.1\n"
    assert said.out == "2 packages audited by OSV, 1 known vulnerabilities\n"


def test_no_vulnerability_is_a_success(source: Source, lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(lock, source.url) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("2 packages audited by OSV, 0 known vulnerabilities\n", "")


@pytest.mark.parametrize("is_there", [True, False], ids=["a source that knows nothing", "no source"])
def test_where_nobody_answers_it_says_so_and_succeeds(
    source: Source, lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_there: bool
) -> None:
    # PyPI is not reached.
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    source.bad = {}
    assert audit.main(lock, source.url if is_there else "http://127.0.0.1:1/v1/query") == 0
    said = capsys.readouterr()
    assert said.err == "NOT AUDITED: neither OSV nor PyPI answers, so nothing is known of some.lock; run it again\n"
    assert said.out == ""


def test_packages_that_a_source_does_not_know_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[dict[str, Any]] = [
        {"name": "a", "version": "1", "vulns": []},
        {"name": "b", "skip_reason": "Dependency not found on PyPI"},
    ]
    assert audit.told(found, "PyPI") == 0
    said = capsys.readouterr()
    assert said.err == "NOT AUDITED: PyPI does not know b\n"
    assert said.out == "1 packages audited by PyPI, 0 known vulnerabilities\n"
