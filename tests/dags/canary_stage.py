"""A scheduler whose connections, settings and files are full of canaries, and the runs that it made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from cryptography.fernet import Fernet

from tests.tools import hostile
from tests.tools.awaiting import wait_for
from tests.tools.canaries import Canary, canary
from tests.tools.hostile import parquet
from tests.tools.local_aws import LocalAws
from tests.tools.scheduler import RunningDag, Scheduler, scheduler

CUSTOM, OPEN = "users.behaviors.CustomEvent", "users.messages.email.Open"
SOURCE, STATE = "braze-files", "export-state"

# AWS's own secrets have such characters.
KEY = "AKIA{}"
ODD = "{}/x+y=é"
SECRETS: dict[str, Canary] = {
    name: canary(name, form)
    for name, form in {
        "access key of a login": KEY,
        "secret key of a login": ODD,
        "session token of a login": ODD,
        "access key of an extra": KEY,
        "secret key of an extra": ODD,
        "session token of an extra": ODD,
        "access key of a connection in the environment": KEY,
        "secret key of a connection in the environment": ODD,
        "session token of a connection in the environment": ODD,
        "access key of the machine": KEY,
        "secret key of the machine": ODD,
        "session token of the machine": ODD,
        "secret key of a connection that is no JSON": ODD,
        "session token of a connection that is no JSON": "{}",
        "secret key of a connection that refuses": ODD,
        "hash key": ODD,
        "secret of an unknown setting": ODD,
        "secret of a wrong type": "{}",
        "secret in a file that is no YAML": "{}",
        "secret of a notifier that can't be made": ODD,
    }.items()
}
# What rules drop, redact or hash: nowhere, in no event either.
RULED: dict[str, Canary] = {
    name: canary(name, "{}.zoë@example.com")
    for name in ("dropped", "redacted", "hashed", "catalog", "in properties", "in nested properties", "key of a map")
}
# What no rule covers may go, and be parked; it is in no log, message or table.
PLAIN: dict[str, Canary] = {
    name: canary(name, "{} zoë's “text”") for name in ("id", "time", "name", "property", "version", "damaged")
}
# Inside a custom event's own properties; other events may have a column of that name.
PLACES = ("/mail", "/people/0/mail", "/by_mail")
COLUMNS = ("/own_struct/mail", "/own_json/mail")
RULES = {
    "hash_key_conn_id": "hash_key",
    "rules": [
        {"action": "hash", "fields": ["user_id"]},
        {"action": "redact", "fields": ["external_user_id", "own_text"]},
        {"action": "drop", "fields": ["email_subject", "own_map"]},
        {"action": "drop", "catalog": True},
        {
            "action": "redact",
            "pointers": [*(each for place in PLACES for each in (place, f"/properties{place}")), *COLUMNS],
        },
    ],
}


def rows(**changes: Any) -> pa.Table:
    """Six rows with a canary in each place where personal data may stand, well-formed and not."""
    value = {name: each.value for name, each in (RULED | PLAIN).items()}
    mail, nested, key = value["in properties"], value["in nested properties"], value["key of a map"]
    whole = {
        "mail": mail,
        "people": [{"mail": nested, "shoe size": 42}],
        "by_mail": {key: {key: 1}},
        "note": value["property"],
    }
    inner = json.dumps({"mail": nested})
    columns: dict[str, Any] = {
        # The second row has no id, and the third a huge text: both are parked.
        "id": [f"{value['id']} {number}" if number != 1 else None for number in range(6)],
        "time": list(range(6)),
        "user_id": [value["hashed"]] * 6,
        "external_user_id": [value["redacted"]] * 6,
        # The fourth is not UTF-8.
        "own_text": pa.array([value["redacted"].encode() + b"\xff" * (row == 3) for row in range(6)], pa.binary()),
        "email_subject": [value["dropped"]] * 6,
        "email_address": [value["catalog"]] * 6,
        "own_map": pa.array([[(key, value["dropped"])]] * 6, pa.map_(pa.string(), pa.string())),
        "own_struct": [{"mail": nested, "other": 1}] * 6,
        "own_json": [inner, inner[:-1], nested, f'["{nested}"', None, json.dumps(inner)],
        "name": [value["name"]] * 6,
        "blob": ["", "", "x" * 1_100_000, "", "", ""],
        "properties": [
            json.dumps(whole),
            json.dumps(whole, ensure_ascii=False),
            json.dumps(whole),
            json.dumps(whole)[:-1],
            json.dumps(json.dumps(whole)),
            f"{mail} is no JSON",
        ],
    }
    return pa.table(columns | changes)


def bad_times() -> pa.Table:
    """Rows whose times are no numbers, and whose version is no text."""
    time = PLAIN["time"].value
    return rows(
        time=[time, f"2026-{time}", "", None, "1", time],
        version=pa.array([PLAIN["version"].value.encode() + b"\xff" * (row == 0) for row in range(6)], pa.binary()),
    )


def damaged() -> Iterator[bytes]:
    """Files that can't be read, or only in part, with canaries in them."""
    text = " ".join(each.value for each in (*RULED.values(), PLAIN["damaged"]))
    yield text.encode()
    yield json.dumps({"email": text}).encode()
    yield f"PAR1{text}".encode() + len(text.encode()).to_bytes(4, "little") + b"PAR1"
    yield b"Obj\x01" + text.encode()
    body = parquet(rows(), compression="none", use_dictionary=False)
    yield body[: len(body) // 2]
    for seed in range(12):
        yield hostile.mutations(body, seed)


@dataclass
class CanaryStage:
    """A running scheduler and what it works with."""

    settings: Path
    aws: LocalAws
    scheduler: Scheduler

    def dag(self, connector: str) -> RunningDag:
        """The export DAG of a connector, switched on."""
        found = RunningDag(self.scheduler, f"currents_export_{connector}")
        found.switch_on()
        return found

    def put(self, connector: str, hour: str, name: str, body: bytes | pa.Table, event_type: str = CUSTOM) -> None:
        """Writes a file where Braze would."""
        key = f"{connector}/event_type={event_type}/date={hour}/{name}"
        content = body if isinstance(body, bytes) else parquet(body)
        self.aws.client("s3").put_object(Bucket=SOURCE, Key=key, Body=content)

    def page(self, path: str) -> str:
        """What the delivery page answers."""
        answer = self.scheduler.client.get(f"http://127.0.0.1:{self.scheduler.port}/currents/{path}")
        return answer.raise_for_status().text


def _connector(name: str, conn_id: str | None, **changes: Any) -> dict[str, Any]:
    destination = changes.pop("destination", {"kind": "event_bus", "name": "events"}) | {"region": "us-east-1"}
    told: dict[str, Any] = {
        "name": name,
        "source": {"bucket": SOURCE, "prefix": name, "aws_conn_id": conn_id},
        "destination": destination | {"aws_conn_id": conn_id},
        "state": {"bucket": STATE, "aws_conn_id": conn_id},
        "personal_data": RULES,
        "lookback_hours": 0,
    }
    return told | changes


PARTNER, ACCOUNT = "partner.example.com", "123456789012"
PACE = {"entries_per_second": 500}
CONNECTORS = [
    _connector("login", "aws_login"),
    # Local AWS checks the signatures of requests to these, so their key is no canary.
    _connector("custom", "aws_known", destination={"kind": "custom_bus", "name": "events"}, budget=PACE),
    _connector(
        "partner",
        "aws_known",
        destination={"kind": "partner_source", "account": ACCOUNT, "partner_name": PARTNER},
        budget=PACE,
    ),
    _connector("dry", "aws_login"),
    _connector("strict", "aws_login", broken_properties="dead_letter"),
    _connector("extra", "aws_extra", oversized="claim_check"),
    _connector("environment", "aws_environment"),
    _connector("machine", None),
    _connector("no_json", "aws_no_json"),
    _connector("refuses", "aws_refuses"),
    _connector("no_key", "aws_login", personal_data=RULES | {"hash_key_conn_id": "no_key"}),
    _connector("no_source", "aws_login", source={"bucket": "no-such-bucket", "aws_conn_id": "aws_login"}),
    # Its DAG is the last that is waited for.
    _connector("z_last", "aws_login"),
]


def _bad_settings() -> dict[str, str]:
    """Connectors files with faults beside a secret, by their names."""
    unknown = _connector("unknown", None)
    unknown["source"] |= {"aws_secret_access_key": SECRETS["secret of an unknown setting"].value}
    wrong = _connector("wrong", None)
    secret = SECRETS["secret of a wrong type"].value
    wrong |= {"lookback_hours": secret, "budget": secret, "broken_properties": secret, "schedule": {"start": secret}}
    wrong["destination"] = {"kind": secret, "name": [secret]}
    arguments = {"token": SECRETS["secret of a notifier that can't be made"].value}
    notifier = "airflow.providers.amazon.aws.notifications.sns.SnsNotifier"
    notice = _connector("notice", None, notify={"on_failure": [{"notifier": notifier, "arguments": arguments}]})
    return {
        "unknown": yaml.safe_dump(unknown),
        "wrong": yaml.safe_dump(wrong),
        "notice": yaml.safe_dump(notice),
        "misread": f"source: {{password: '{SECRETS['secret in a file that is no YAML'].value}, other: a: b\n",
    }


def _keys(where: str) -> dict[str, str]:
    return {
        "access": SECRETS[f"access key of {where}"].value,
        "secret": SECRETS[f"secret key of {where}"].value,
        "token": SECRETS[f"session token of {where}"].value,
    }


def environment(temporary: Path, settings: Path) -> dict[str, str]:
    """What Airflow is to see: the connectors files, a folder for temporary files, which it makes, and credentials."""
    own, machine = _keys("a connection in the environment"), _keys("the machine")
    connection = {
        "conn_type": "aws",
        "login": own["access"],
        "password": own["secret"],
        "extra": {"aws_session_token": own["token"]},
    }
    temporary.mkdir()
    return {
        "AIRFLOW_CONN_AWS_ENVIRONMENT": json.dumps(connection),
        "AIRFLOW_CONN_AWS_NO_JSON": json.dumps(
            {
                "conn_type": "aws",
                "login": "somebody",
                "password": SECRETS["secret key of a connection that is no JSON"].value,
                "extra": f"{{aws_session_token: {SECRETS['session token of a connection that is no JSON'].value}",
            }
        ),
        "AWS_ACCESS_KEY_ID": machine["access"],
        "AWS_SECRET_ACCESS_KEY": machine["secret"],
        "AWS_SESSION_TOKEN": machine["token"],
        "CURRENTS_CONNECTORS": str(settings),
        "TMPDIR": str(temporary),
    }


def _connections() -> Iterator[Mapping[str, Any]]:
    """The connections that somebody enters in the UI."""
    login, extra = _keys("a login"), _keys("an extra")
    yield {
        "connection_id": "aws_login",
        "conn_type": "aws",
        "login": login["access"],
        "password": login["secret"],
        "extra": json.dumps({"aws_session_token": login["token"]}),
    }
    yield {
        "connection_id": "aws_extra",
        "conn_type": "aws",
        "extra": json.dumps(
            {
                "aws_access_key_id": extra["access"],
                "aws_secret_access_key": extra["secret"],
                "aws_session_token": extra["token"],
            }
        ),
    }
    yield {
        "connection_id": "aws_refuses",
        "conn_type": "aws",
        "login": "somebody",
        "password": SECRETS["secret key of a connection that refuses"].value,
        "extra": json.dumps({"endpoint_url": "http://127.0.0.1:1"}),
    }
    yield {"connection_id": "aws_known", "conn_type": "aws", "login": "testing", "password": "testing"}
    yield {"connection_id": "hash_key", "conn_type": "generic", "password": SECRETS["hash key"].value}
    yield {"connection_id": "no_key", "conn_type": "generic"}


@contextmanager
def canary_stage(home: Path, settings: Path, aws: LocalAws) -> Iterator[CanaryStage]:
    """Starts it. The connectors are in ``settings``, a folder, beside some with faults."""
    write(settings, aws)
    told = environment(home / "tmp", settings) | {"AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode()}
    with scheduler(home, aws, CONNECTORS[-1:], environment=told) as running:
        yield connected(CanaryStage(settings, aws, running))


def write(settings: Path, aws: LocalAws) -> None:
    """Writes the connectors files, and makes what the connectors name."""
    for bucket in (SOURCE, STATE):
        aws.client("s3").create_bucket(Bucket=bucket)
    events, custom = aws.client("events"), aws.client("eventbridgev2")
    events.create_event_bus(Name="events")
    arn = custom.create_event_bus(Name="events")["EventBusArn"]
    wait_for(120, lambda: custom.describe_event_bus(EventBusArn=arn)["State"] == "ACTIVE")
    aws.register_partner()
    source = f"aws.partner/{PARTNER}/partner/{ACCOUNT}"
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    events.create_event_bus(Name=source, EventSourceName=source)
    texts = {each["name"]: yaml.safe_dump(each) for each in CONNECTORS} | _bad_settings()
    for name, text in texts.items():
        (settings / f"{name}.yaml").write_text(text)


def connected(stage: CanaryStage) -> CanaryStage:
    """The same, with all connections entered."""
    for each in _connections():
        stage.scheduler.ask("POST", "connections", **each)
    return stage
