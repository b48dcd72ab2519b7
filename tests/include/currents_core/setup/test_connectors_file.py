from __future__ import annotations

from pathlib import Path

import pytest

from currents_core.errors import SetupError
from currents_core.limits import EVENT_BUS, Limits
from currents_core.setup.connectors_file import load_connectors
from tests.tools.airflow_env import EXAMPLE

GOOD = """
  - name: good
    source: {bucket: braze-files, prefix: /currents, aws_conn_id: null}
    destination: {kind: event_bus, name: bus, region: us-west-1}
    state: {bucket: braze-files, prefix: state}
"""
ARN = "arn:aws:events:us-east-1:123456789012:event-bus/bus"
CUSTOM = "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwxy"
BAD = """
  - name: Bad!
    source: {bucket: x}
    destination: {kind: event_bus, name: bus, source: aws.x}
    state: {bucket: braze-files, prefxi: state}
    lookback_hours: 999
    budget: {share_of_quota: 2}
    budget: {share_of_quota: 3}
"""
PARTNER = "{kind: partner_source, account: '123456789012', region: us-east-1, partner_name: example.com, %s}"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "connectors.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_shipped_file_is_valid_and_holds_the_demo() -> None:
    shipped = load_connectors(EXAMPLE)
    assert shipped.faults == ()
    assert list(shipped.valid) == ["demo"]


def test_defaults_are_what_the_documentation_says(tmp_path: Path) -> None:
    good = load_connectors(write(tmp_path, f"connectors:{GOOD}")).valid["good"]
    assert good.source.prefix == "currents/"
    assert (good.source.aws_conn_id, good.state.aws_conn_id) == (None, "aws_default")
    assert (good.lookback_hours, good.rates, good.event_source) == (72, (600, None), "braze.currents")
    assert (good.rates, good.budget.all_slots) == ((600, None), 6)
    assert good.destination.request_limits == EVENT_BUS
    assert good.event_types.wants("anything.at.All")


@pytest.mark.parametrize("name", ["bus", f"'{ARN.replace('us-east-1', 'us-west-1')}'"])
def test_a_bus_may_have_a_global_endpoint_by_name_or_arn(tmp_path: Path, name: str) -> None:
    """Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html."""
    bare = f"connectors:{GOOD}".replace("name: bus", f"name: {name}")
    with_endpoint = write(tmp_path, bare.replace("us-west-1}", "us-west-1, endpoint_id: abcde.veo}"))
    [connector] = load_connectors(with_endpoint).valid.values()
    assert connector.destination.kind == "event_bus"
    assert connector.destination.endpoint_id == "abcde.veo"
    [without] = load_connectors(write(tmp_path, bare)).valid.values()
    assert connector.stream == without.stream, "the same bus takes the events"


def test_limits_may_be_lower_than_eventbridges_and_an_entry_has_to_fit_into_a_request(tmp_path: Path) -> None:
    text = f"connectors:{GOOD}".replace("us-west-1}", "us-west-1, limits: {bytes_per_request: 262144}}")
    good = load_connectors(write(tmp_path, text)).valid["good"]
    assert good.destination.request_limits == Limits(10, 262_144, 262_144)
    higher = load_connectors(write(tmp_path, text.replace("262144", "2000000")))
    assert "has 1 fault:\n" in higher.report()
    assert "bytes_per_request" in higher.report()
    assert "1,000 to 1,000,000" in higher.report()


def test_every_fault_is_reported_at_once_with_line_place_and_remedy(tmp_path: Path) -> None:
    connectors = load_connectors(write(tmp_path, f"connectors:{BAD}{GOOD}"))
    assert list(connectors.valid) == ["good"], "a faulty connector must not take another with it"
    report = connectors.report()
    for place, remedy in [
        ("line 2, connectors[0].name", "lower-case letters, digits and _"),
        ("line 3, connectors[0].source.bucket", "the name of an S3 bucket"),
        ("line 4, connectors[0].destination.region", "missing; add it; expected: an AWS region such as us-east-1"),
        ("line 4, connectors[0].destination.source", "not beginning with `aws.`"),
        ("line 5, connectors[0].state.prefxi", "there is no such key; did you mean `prefix`?"),
        ("line 6, connectors[0].lookback_hours", "whole hours, 0 to 744"),
        ("line 8, connectors[0].budget.share_of_quota", "above 0 and up to 1"),
        ("line 8, connectors[0]", "the key `budget` appears twice"),
    ]:
        assert any(place in fault and remedy in fault for fault in connectors.faults), (place, report)
    assert len(connectors.faults) == 8


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "notify:\n      on_missed_deadline: [{notifier: a.B}]\n      deadline_minutes: 20",
            "notify.deadline_minutes is 20, but an hour runs only 20 minutes after its end",
        ),
        (f"destination: {{kind: event_bus, name: '{ARN}', region: eu-west-1}}", "make them match"),
        (
            "destination: {kind: event_bus, name: b, region: us-east-1, endpoint_id: abcde}",
            "the id of a global endpoint, such as abcde.veo",
        ),
        (
            "destination: {kind: event_bus, name: aws.partner/a.com/b, region: us-east-1, endpoint_id: abcde.veo}",
            "a global endpoint has no partner's bus",
        ),
        (
            f"destination: {{kind: event_bus, name: '{ARN}/a', region: us-east-1, endpoint_id: abcde.veo}}",
            "a global endpoint has no partner's bus",
        ),
        (
            f"destination: {{kind: custom_bus, name: '{CUSTOM}', region: us-east-1, endpoint_id: abcde.veo}}",
            "endpoint_id",
        ),
        ("destination: {kind: event_bus, name: 'arn:aws:sqs:us-east-1:1:q', region: us-east-1}", "not the ARN of"),
        (f"destination: {{kind: event_bus, name: '{CUSTOM}', region: us-east-1}}", "set kind to custom_bus"),
        (f"destination: {{kind: custom_bus, name: '{ARN}', region: us-east-1}}", "set kind to event_bus"),
        ("destination: {kind: custom_bus, name: team/bus, region: us-east-1}", "name is none of a custom bus"),
        (f"destination: {{kind: custom_bus, name: '{CUSTOM}', region: eu-west-1}}", "make them match"),
        (f"destination: {{kind: custom_bus, name: '{CUSTOM[:-1]}', region: us-east-1}}", "not the ARN of such a bus"),
        (
            f"destination: {{kind: custom_bus, name: '{CUSTOM}', region: us-east-1}}",
            "entries_per_second is missing",
        ),
        (
            "destination: {kind: event_bus, name: b, region: us-east-1, limits: {entries_per_request: 11}}",
            "is 11, but event_bus takes 10; lower it",
        ),
        (
            "destination: {kind: kinesis, name: b, region: us-east-1}",
            "destination.kind: not one of the choices; expected: event_bus, partner_source, custom_bus",
        ),
        (
            "destination: {kind: event_buss, name: b, region: us-east-1}",
            "destination.kind: not one of the choices; did you mean `event_bus`?",
        ),
        ("destination: {name: b, region: us-east-1}", "destination.kind: missing; add it"),
        ("destination: event_bus", "destination: must have keys and values"),
        (f"destination: {PARTNER % 'source: x'}", "destination.source: there is no such key"),
        (f"destination: {PARTNER % 'account: 123456789012'}", "destination.account: must be text; put it in quotes"),
        ("destination: {kind: partner_source, account: '12345678901', region: us-east-1}", "twelve digits in quotes"),
        (
            "destination: {kind: partner_source, account: '12345678901\uff12', region: us-east-1}",
            "twelve digits in quotes",
        ),
        ("destination: {kind: event_bus, name: b, region: us-east-\uff11}", "an AWS region such as us-east-1"),
        ("destination: {kind: event_bus, name: büs, region: us-east-1}", "the name of the bus, or its ARN"),
        (f"destination: {PARTNER % 'limits: {entries_per_request: 21}'}", "but partner_source takes 20; lower it"),
        (f"destination: {PARTNER % 'customer_conn_id: null'}", "publishes no quota for a partner_source"),
        (
            "state: {bucket: acme, retention_days: 4}\n    lookback_hours: 72",
            "set it to 5 or more, or lower lookback_hours",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, line: str, complaint: str) -> None:
    key = line.split(":", maxsplit=1)[0]
    rest = "\n".join(each for each in GOOD.splitlines() if not each.strip().startswith(f"{key}:"))
    connectors = load_connectors(write(tmp_path, f"connectors:{rest}\n    {line}\n"))
    assert not connectors.valid
    assert complaint in connectors.report()


def test_a_partner_source_needs_an_account_and_a_region_and_the_name_that_is_told_once(tmp_path: Path) -> None:
    rest = "\n".join(each for each in GOOD.splitlines() if not each.strip().startswith(("destination:", "budget:")))
    destination = "destination: {kind: partner_source, account: '123456789012', region: us-east-1}"
    text = f"connectors:{rest}\n    {destination}\n    budget: {{entries_per_second: 500}}\n"
    path = write(tmp_path, text)
    assert "destination.partner_name: missing; add it" in load_connectors(path).report()
    found = load_connectors(path, "example.com").one("good")
    assert found.destination_name == found.event_source == "aws.partner/example.com/good/123456789012"
    assert found.stream.endswith("partner_source aws.partner/example.com/good/123456789012 in us-east-1")
    assert found.destination.request_limits.entries_per_request == 20
    own = write(tmp_path, text.replace("region:", "partner_name: other.com, region:"))
    assert load_connectors(own, "example.com").one("good").event_source.startswith("aws.partner/other.com/")


def test_a_custom_bus_has_its_own_limits_and_no_share_of_a_quota(tmp_path: Path) -> None:
    rest = "\n".join(each for each in GOOD.splitlines() if not each.strip().startswith(("destination:", "budget:")))
    destination = f"destination: {{kind: custom_bus, name: '{CUSTOM}', region: us-east-1}}"
    budget = "budget: {entries_per_second: 5000}"
    connectors = load_connectors(write(tmp_path, f"connectors:{rest}\n    {destination}\n    {budget}\n"))
    [found] = connectors.valid.values()
    assert list(found.rates) == [None, 5_000]
    assert found.destination.request_limits.entries_per_request == 100
    assert found.stream.endswith(f"custom_bus {CUSTOM} in us-east-1")


@pytest.mark.parametrize(
    "destination",
    [
        f"{{kind: custom_bus, name: '{CUSTOM}', region: us-east-1}}",
        "{kind: partner_source, account: '123456789012', partner_name: example.com, region: us-east-1}",
    ],
)
def test_a_share_of_no_quota_is_refused(tmp_path: Path, destination: str) -> None:
    rest = "\n".join(each for each in GOOD.splitlines() if not each.strip().startswith(("destination:", "budget:")))
    budget = "{entries_per_second: 5, share_of_quota: 0.5}"
    text = f"connectors:{rest}\n    destination: {destination}\n    budget: {budget}\n"
    [fault] = load_connectors(write(tmp_path, text)).faults
    assert "budget.share_of_quota has no effect: AWS publishes no quota for a " in fault


def with_groups(tmp_path: Path, groups: str, rate: float) -> str:
    """What is wrong with a connector that has so many groups; empty if nothing is."""
    rest = "\n".join(each for each in GOOD.splitlines() if not each.strip().startswith(("destination:", "budget:")))
    destination = f"destination: {{kind: custom_bus, name: '{CUSTOM}', region: us-east-1, event_groups: {groups}}}"
    text = f"connectors:{rest}\n    {destination}\n    budget: {{entries_per_second: {rate}}}\n"
    connectors = load_connectors(write(tmp_path, text))
    return "" if connectors.valid else connectors.report()


@pytest.mark.parametrize(
    ("groups", "rate", "complaint"),
    [
        ("null", 500_000, ""),
        ("4", 3_000, ""),
        ("10000", 500_000, ""),
        ("1", 0.5, ""),
        ("3", 3_000, "a second; set event_groups to 4 or more, or entries_per_second to 2250 or less"),
        ("4", 3_000.5, "event_groups is 4, but budget.entries_per_second is 3000.5, and a group takes 750 events of"),
        ("10000", 8_000_000, "or entries_per_second to 7500000 or less"),
        ("0", 1, "event_groups: out of range; expected: a whole number from 1 to 10,000, or null"),
        ("10001", 1, "event_groups: out of range; expected: a whole number from 1 to 10,000, or null"),
    ],
)
def test_groups_must_be_enough_for_the_budget(tmp_path: Path, groups: str, rate: float, complaint: str) -> None:
    found = with_groups(tmp_path, groups, rate)
    assert complaint in found
    assert bool(found) == bool(complaint)


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    connectors = load_connectors(write(tmp_path, f"connectors:{GOOD}{GOOD}"))
    assert len(connectors.valid) == 1
    assert "`good` is already taken, in line 2" in connectors.report()


@pytest.mark.parametrize("text", ["", "connectors: 3", "streams: []", "[1]", "a: b: c", "\tx", "? [a]\n: 1"])
def test_a_file_that_is_no_list_of_connectors_is_named(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SetupError, match=str(path)):
        load_connectors(path)


def test_a_key_beside_the_list_harms_no_connector(tmp_path: Path) -> None:
    connectors = load_connectors(write(tmp_path, f"connectors:{GOOD}more: 1\n"))
    assert list(connectors.valid) == ["good"]
    assert connectors.faults == ("line 6, more: there is no such key; the file has one key, `connectors`",)
    with pytest.raises(SetupError, match="did you mean `connectors`"):
        load_connectors(write(tmp_path, "conectors: []"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SetupError, match=r"the connectors file .*/none\.yaml can't be read: No such file or directory; "
    ):
        load_connectors(tmp_path / "none.yaml")


def test_an_unknown_connector_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, f"connectors:{GOOD}")
    assert load_connectors(path).one("good").name == "good"
    with pytest.raises(SetupError, match=r"no valid connector 'other'.*valid: good"):
        load_connectors(path).one("other")


def test_a_faulty_connector_is_refused_with_its_own_faults_alone(tmp_path: Path) -> None:
    others = GOOD.replace("good", "faulty").replace("us-west-1", "nowhere") + BAD
    path = write(tmp_path, f"connectors:{GOOD}{others}")
    with pytest.raises(SetupError, match=r"connector 'faulty' has 1 fault: .*destination\.region") as told:
        load_connectors(path).one("faulty")
    assert "prefxi" not in str(told.value)
    assert load_connectors(path).faults_of.keys() == {"faulty", "Bad!"}


def entry(name: str, source: str, state: str, extra: str = "") -> str:
    """A connector whose source and state are in one bucket."""
    return f"""
  - name: {name}
    source: {{bucket: acme, prefix: '{source}'}}
    destination: {{kind: event_bus, name: bus, region: us-west-1}}
    state: {{bucket: acme, prefix: '{state}'}}
    {extra}
"""


@pytest.mark.parametrize("source", ["", "state", "state/mails", "in/orders"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_where_state_lies_refuses_nobody(tmp_path: Path, source: str, place: int) -> None:
    both = [entry("orders", "in/orders", "state"), entry("mails", "in/mails", "in/orders/state")]
    entries = [*both[:place], entry("wide", source, ""), *both[place:]]
    connectors = load_connectors(write(tmp_path, f"connectors:{''.join(entries)}"))
    assert connectors.valid.keys() == {"orders", "mails", "wide"}
    assert connectors.state_roots == {
        ("acme", "state/orders/"),
        ("acme", "in/orders/state/mails/"),
        ("acme", "wide/"),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        entry("mails", "in/mails", "state", "event_types: {include: [users.messages.email.Opne]}"),
        entry("mails", "in/mails", "/state/").replace("kind: event_bus", "kind: event_buss"),
        entry("mails", "in/mails", "state").replace("prefix: 'state'", "prefix: state, retention_days: 1"),
    ],
)
def test_where_the_state_of_a_faulty_connector_lies_is_known_all_the_same(tmp_path: Path, wrong: str) -> None:
    connectors = load_connectors(write(tmp_path, f"connectors:{entry('orders', '', 'state')}{wrong}"))
    assert list(connectors.valid) == ["orders"]
    assert connectors.state_roots == {("acme", "state/orders/"), ("acme", "state/mails/")}


@pytest.mark.parametrize("state", ["state", "{prefix: x}", "{bucket: 3}", "{bucket: acme, prefix: [a]}", "null"])
def test_a_state_that_can_not_be_read_is_nowhere(tmp_path: Path, state: str) -> None:
    wrong = entry("mails", "in", "state").replace("{bucket: acme, prefix: 'state'}", state)
    connectors = load_connectors(write(tmp_path, f"connectors:{wrong}"))
    assert not connectors.valid
    assert connectors.state_roots == frozenset()


@pytest.mark.parametrize("text", ["a: b: c", "", "- name: orders", "\xff", "name: other", "source: !!set {a}"])
def test_the_faults_of_a_file_in_a_folder_are_those_of_the_connector_of_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "orders.yaml").write_bytes(text.encode("latin-1"))
    (tmp_path / "mails.yaml").write_text(entry("mails", "in", "state").replace("  - name: mails\n", ""))
    connectors = load_connectors(tmp_path)
    assert list(connectors.valid) == ["mails"]
    assert connectors.faults_of.keys() == {"orders"}
    assert connectors.is_whole
    with pytest.raises(SetupError, match="connector 'orders' has"):
        connectors.one("orders")


def test_a_file_that_could_not_be_read_may_be_readable_later(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").symlink_to(tmp_path / "gone")
    connectors = load_connectors(tmp_path)
    assert connectors.faults_of.keys() == {"orders"}
    assert not connectors.is_whole


def test_an_entry_that_is_no_plain_yaml_has_its_name_all_the_same(tmp_path: Path) -> None:
    connectors = load_connectors(write(tmp_path, "connectors:\n  - name: orders\n    source: !!set {a}\n"))
    assert connectors.faults_of.keys() == {"orders"}


def test_who_asks_for_a_connector_that_there_is_not_hears_no_faults_of_others(tmp_path: Path) -> None:
    path = write(tmp_path, f"connectors:{GOOD}{BAD}")
    with pytest.raises(SetupError, match="no valid connector 'gone'") as told:
        load_connectors(path).one("gone")
    assert "prefxi" not in str(told.value)


def test_a_fault_is_at_the_line_of_its_key(tmp_path: Path) -> None:
    connectors = load_connectors(
        write(tmp_path, f"connectors:{GOOD}    buget:\n      slots: 3\n    filter:\n    - a\n")
    )
    assert [fault.split(":")[0] for fault in sorted(connectors.faults)] == [
        "line 6, connectors[0].buget",
        "line 9, connectors[0].filter[0]",
    ]
