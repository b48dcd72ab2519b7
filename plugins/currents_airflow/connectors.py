"""The connectors of this Airflow: those of the file that its configuration names, else the environment."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from airflow.sdk.configuration import conf

from currents_airflow.botocore_check import with_botocore
from currents_core.errors import SetupError
from currents_core.setup.connectors_file import Connectors, files_of, load_connectors
from currents_core.setup.settings import Connector

# The name of a file, when it and its rights were changed, its size, and its number on the disk.
Version = tuple[str, int, int, int, int]


def connectors_file() -> Path | None:
    """The path of the connectors file, or None where none is named."""
    named = conf.get("currents", "connectors_file", fallback=None) or os.environ.get("CURRENTS_CONNECTORS")
    return Path(named) if named else None


def partner_name() -> str | None:
    """The name that AWS registered this organization with as a partner, or None where none is told."""
    return conf.get("currents", "partner_name", fallback=None) or os.environ.get("CURRENTS_PARTNER_NAME")


def all_connectors() -> Connectors:
    """The valid connectors, and what is wrong with the others. Raises SetupError where there is no readable file.

    A file that has not changed is not read again: the scheduler asks for each run that begins.
    """
    path = _file()
    found = _loaded(path, partner_name(), _versions(path))
    if not found.is_whole:
        # What keeps a file from being read, such as too many open ones, may pass without changing it.
        _loaded.cache_clear()
    return with_botocore(found)


def one_connector(name: str) -> Connector:
    """The connector called ``name``. Raises SetupError where there is none, or where it has a fault."""
    return all_connectors().one(name)


def state_roots(bucket: str) -> list[str]:
    """What the keys of connectors' state in a bucket begin with; nothing where no connectors file is named."""
    found = all_connectors().state_roots if connectors_file() else frozenset()
    return sorted(root for place, root in found if place == bucket)


@lru_cache(maxsize=1)
def _loaded(path: Path, partner: str | None, _versions: tuple[Version, ...]) -> Connectors:
    return load_connectors(path, partner)


def _versions(path: Path) -> tuple[Version, ...]:
    """What tells another version of the file, or of any file of the folder."""
    with suppress(OSError):
        return tuple(map(_version, files_of(path) if path.is_dir() else [path]))
    # Whoever reads the folder says what is wrong.
    return ()


def _version(file: Path) -> Version:
    with suppress(OSError):
        stat = file.stat()
        return file.name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
    # It is gone, or the link to it leads nowhere.
    return file.name, 0, 0, 0, 0


def _file() -> Path:
    path = connectors_file()
    if not path:
        raise SetupError(
            "no connectors file is named; put its path into Airflow's configuration as connectors_file in the section "
            "[currents] (AIRFLOW__CURRENTS__CONNECTORS_FILE), or into the environment variable CURRENTS_CONNECTORS"
        )
    return path
