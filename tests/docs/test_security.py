"""What SECURITY.md says of the deployment is how the deployment is."""

from __future__ import annotations

import re

from airflow.configuration import conf

from tests.tools.airflow_env import ROOT
from tests.tools.compose import RAW

SECURITY = " ".join((ROOT / "SECURITY.md").read_text("utf-8").split())


def test_images_are_trusted_by_their_tags() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    images = [service["image"] for service in RAW["services"].values() if "image" in service]
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert [image for image in images if "@" in image] == []
    assert "**Images are named by tag, not by digest**" in SECURITY


def test_log_servers_listen_where_it_says_and_are_not_published() -> None:
    ports = {conf.getint("logging", option) for option in ("worker_log_server_port", "trigger_log_server_port")}
    (named,) = re.findall(r"the log servers of the workers and the triggerer \(ports (\d+) and (\d+)\)", SECURITY)
    assert {int(port) for port in named} == ports
    assert "ports" not in RAW["services"]["airflow-worker"].keys() | RAW["services"]["airflow-triggerer"].keys()


def test_it_says_who_sees_the_secrets_of_a_deployment() -> None:
    for place in ("`.env`", "`docker inspect`", "in the namespace"):
        assert place in SECURITY
