from __future__ import annotations

import json
import shlex

import pytest

from currents_airflow.page.commands import Commands
from currents_core.setup.run_request import redrive_request
from tests.tools.house import HOUR


@pytest.mark.parametrize("event_type", ["users.behaviors.Purchase", "a[1]", "what?", "*", "(others)", ""])
def test_the_command_of_a_redrive_wants_the_letters_that_it_stands_beside(event_type: str) -> None:
    conf = json.loads(shlex.split(Commands("test", HOUR, HOUR).redrive("no_id", event_type))[-1])
    request = redrive_request(conf, HOUR)
    named = "any other" if event_type == "(others)" else event_type
    assert request.wants_letter({"code": "no_id", "event_type": named})
    assert not request.wants_letter({"code": "another", "event_type": named})
    if event_type not in ("(others)", ""):
        assert not request.wants_letter({"code": "no_id", "event_type": "another type"})
