from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from currents_airflow import connectors
from currents_airflow.connectors import all_connectors, connectors_file, one_connector
from currents_core.errors import SetupError
from currents_core.setup import connectors_file as connectors_file_module
from currents_core.setup.connectors_file import Connectors, load_connectors
from tests.tools.airflow_env import EXAMPLE


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__CURRENTS__CONNECTORS_FILE", "CURRENTS_CONNECTORS"):
        monkeypatch.delenv(name, raising=False)


def test_airflows_configuration_names_the_file_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURRENTS_CONNECTORS", "/from/the/environment.yaml")
    assert connectors_file() == Path("/from/the/environment.yaml")
    monkeypatch.setenv("AIRFLOW__CURRENTS__CONNECTORS_FILE", str(EXAMPLE))
    assert connectors_file() == EXAMPLE
    assert list(all_connectors().valid) == ["demo"]
    assert one_connector("demo").name == "demo"


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_is_read_again_once_it_has_changed_and_not_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_folder: bool
) -> None:
    reads: list[Path] = []

    def load(path: Path, partner: str | None = None) -> Connectors:
        reads.append(path)
        return load_connectors(path, partner)

    text = EXAMPLE.read_text("utf-8").replace("- name: demo", "- name: orders")
    body = text if not is_folder else text.partition("connectors:\n")[2].replace("  - name", "    name")
    path = tmp_path / "orders" if is_folder else tmp_path / "orders.yaml"
    file = path / "orders.yaml" if is_folder else path
    file.parent.mkdir(exist_ok=True)
    monkeypatch.setattr(connectors, "load_connectors", load)
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))
    file.write_text(body, "utf-8")
    assert [list(all_connectors().valid) for _ in range(3)] == [["orders"]] * 3
    assert len(reads) == 1
    new = tmp_path / "new"
    new.write_text(body.replace("name: orders", "name: others"), "utf-8")
    new.replace(path / "others.yaml" if is_folder else file)
    assert list(all_connectors().valid) == (["orders", "others"] if is_folder else ["others"])
    assert len(reads) == 2
    monkeypatch.setenv("CURRENTS_PARTNER_NAME", "example.com")
    all_connectors()
    assert len(reads) == 3
    shutil.rmtree(path) if is_folder else path.unlink()
    with pytest.raises(SetupError, match=str(path)):
        all_connectors()


def test_what_cannot_be_read_is_asked_again_and_freezes_no_other_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = EXAMPLE.read_text("utf-8").partition("connectors:\n")[2].replace("  - name: demo", "    name: orders")
    (tmp_path / "orders.yaml").write_text(body, "utf-8")
    # As an editor locks a file, and a link whose target is gone.
    (tmp_path / ".#orders.yaml").symlink_to("somebody@somewhere.1")
    (tmp_path / "lost.yaml").symlink_to(tmp_path / "gone")
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(tmp_path))
    assert list(all_connectors().valid) == ["orders"]
    (tmp_path / "mails.yaml").write_text(body.replace("orders", "mails"), "utf-8")
    assert list(all_connectors().valid) == ["mails", "orders"]

    def too_many(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        os.utime(tmp_path / "mails.yaml")
        patched.setattr(connectors_file_module, "read_node", too_many)
        assert list(all_connectors().valid) == []
    assert list(all_connectors().valid) == ["mails", "orders"]


@pytest.mark.parametrize("value", [None, ""])
def test_no_file_is_the_default(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("CURRENTS_CONNECTORS", value)
        monkeypatch.setenv("AIRFLOW__CURRENTS__CONNECTORS_FILE", value)
    assert connectors_file() is None
    with pytest.raises(SetupError, match=r"AIRFLOW__CURRENTS__CONNECTORS_FILE.*CURRENTS_CONNECTORS"):
        all_connectors()
    with pytest.raises(SetupError, match="no connectors file is named"):
        one_connector("demo")
