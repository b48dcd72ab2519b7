"""What to type for what the page leads to: Airflow's forms can't be filled by a link."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass

from currents_core.books.overview import OTHERS


def pattern_of(event_type: str) -> str:
    """What to type to choose an event type of the overview; empty where it is none, or many."""
    # Anything may stand for the signs of patterns.
    return "" if event_type == OTHERS else re.sub(r"[][*?]", "?", event_type)


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands of Airflow for the hours of a connector from ``first`` to ``last``, both included."""

    connector: str
    first: str
    last: str

    @property
    def export(self) -> str:
        """Runs the hours by hand."""
        return self._trigger(f"currents_export_{self.connector}", **self._hours())

    def redrive(self, code: str, event_type: str) -> str:
        """Sends dead letters again."""
        pattern = pattern_of(event_type)
        chosen = {"codes": [code], "event_types": [pattern]} if pattern else {"codes": [code]}
        return self._trigger("currents_redrive", connector=self.connector, **self._hours(), **chosen)

    def _hours(self) -> dict[str, str]:
        return {"hour": self.first} | ({"until": self.last} if self.last != self.first else {})

    @staticmethod
    def _trigger(dag: str, **fields: object) -> str:
        return f"airflow dags trigger {dag} --conf {shlex.quote(json.dumps(fields))}"
