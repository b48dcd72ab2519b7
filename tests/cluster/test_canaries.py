"""Secrets and personal data stay where they are on Airflow's distributed engine too.

The runs and the tests are those of `tests/dags/test_canaries.py`. What is searched besides are the tables of Postgres,
with the results of Celery's tasks, and the file of the queue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.dags.canary_stage import CONNECTORS, SECRETS, STATE, CanaryStage, connected, environment, write
from tests.dags.test_canaries import (
    LOGIN,
    Left,
    play,
    test_it_really_happened,
    test_no_secret_is_in_the_database_but_encrypted,
    test_no_secret_is_left_anywhere,
    test_no_temporary_file_is_left_by_an_export,
    test_nothing_that_a_rule_covers_is_left_anywhere,
    test_what_may_go_arrived_and_was_parked,
    test_what_no_rule_covers_is_in_events_and_in_the_state_alone,
    test_what_tasks_hand_on_and_show_was_searched,
)
from tests.tools.canaries import Place, files_in, found, objects_in, postgres
from tests.tools.cluster import AIRFLOW, cluster
from tests.tools.local_aws import local_aws

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(3_600)]
__all__ = [
    "test_it_really_happened",
    "test_no_secret_is_in_the_database_but_encrypted",
    "test_no_secret_is_left_anywhere",
    "test_no_temporary_file_is_left_by_an_export",
    "test_nothing_that_a_rule_covers_is_left_anywhere",
    "test_what_may_go_arrived_and_was_parked",
    "test_what_no_rule_covers_is_in_events_and_in_the_state_alone",
    "test_what_tasks_hand_on_and_show_was_searched",
]
WORKER = "airflow-worker-1"


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    home, settings = tmp_path_factory.mktemp("canaries"), tmp_path_factory.mktemp("settings")
    with local_aws() as aws:
        write(settings, aws)
        told = environment(home / "tmp", settings)
        last = f"currents_export_{CONNECTORS[-1]['name']}"
        with (
            cluster(
                aws.environment(),
                workers=1,
                dag=last,
                of_part=dict.fromkeys((*AIRFLOW, WORKER), told),
            ) as running,
            running.client() as client,
        ):
            happened = play(connected(CanaryStage(settings, aws, running.scheduler(client))))
            tables = list(postgres(running.parts[WORKER].environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]))
            # Its tables are searched in place of its files, in which long values are compressed.
            files = [each for each in files_in(running.home) if not each.name.startswith("file postgres/")]
        events = [Place(f"event {number}", json.dumps(each).encode()) for number, each in enumerate(aws.accepted())]
        state = list(objects_in(aws.client("s3"), STATE))
        yield Left([*files, *files_in(home)], tables, state, events, happened)


def test_the_tables_of_celery_and_the_file_of_the_queue_were_searched(left: Left) -> None:
    assert any(each.name == "table celery_taskmeta.result" for each in left.tables)
    # Airflow does not encrypt it, so a search that works finds it.
    assert "table connection.login" in {place for _, place in found([SECRETS[LOGIN]], left.tables)}
    queue = [each.content for each in left.home if each.name.startswith("file redis/appendonlydir/")]
    assert any(b"execute_workload" in content for content in queue)
