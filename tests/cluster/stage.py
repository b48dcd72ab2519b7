"""Local AWS and a cluster, and the export DAGs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.dags.stage import Stage, set_up
from tests.tools.cluster import Cluster, cluster
from tests.tools.local_aws import local_aws


@contextmanager
def cluster_stage(
    folder: Path, changes: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Stage, Cluster]]:
    """Starts a cluster with a connector for each of the ``changes``, as ``set_up`` takes them.

    Its connectors file is in ``folder``; ``environment`` is what its parts are to see besides.
    """
    with local_aws() as aws:
        bucket, connectors = set_up(aws, changes)
        path = folder / "connectors.yaml"
        path.write_text(yaml.safe_dump({"connectors": connectors}))
        settings = {**aws.environment(), "CURRENTS_CONNECTORS": str(path), **(environment or {})}
        with (
            cluster(settings, dag=f"currents_export_{connectors[-1]['name']}") as running,
            running.client() as client,
        ):
            yield Stage(aws, bucket, running.scheduler(client)), running
