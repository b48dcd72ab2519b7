"""Closes a run: writes the manifests of its hours, and fails where the books don't balance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState

from currents_airflow import metrics, notices
from currents_airflow.links import DeliveriesLink, EventBusLink, HourManifestLink, SourceFilesLink
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.policy import APPROVE
from currents_core.counted import counted
from currents_core.errors import CurrentsError, DeliveryError, TransientError
from currents_core.hour import date_of_hour, hour_end, hours_back

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.books.manifest import Manifest
    from currents_core.books.manifests import Draft, Manifests
    from currents_core.books.run_record import RunPass
    from currents_core.finding.account_hours import Accounts
    from currents_core.finding.discover import Look


# The hours of which people see at a glance what became of them.
_SHOWN = 31 * 24
FAILED = (TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED)


class CurrentsReconcileOperator(CurrentsOperator):
    """Accounts for the run's hours, and for past hours in which it found something, from the ledger.

    Each hour that is over and complete, and was not told of with the same content before, is announced: by an event of
    its outlet with the hour as partition. Dry runs, trials and replays announce nothing.

    :param plans: the list that ``CurrentsDiscoverOperator`` returned, and the task before this is mapped over; None
        where it failed
    """

    operator_extra_links = (DeliveriesLink(), HourManifestLink(), SourceFilesLink(), EventBusLink())
    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "plans")

    def __init__(self, *, plans: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plans = plans

    def run_step(self, context: Context, parts: RunParts, /) -> dict[str, Any]:
        """Returns the totals and the place of each manifest. Raises DeliveryError where an hour is not complete.

        Airflow takes the run's state from this task alone, as the last one that counts: so it must fail with the
        tasks before it, also where no hole shows in the books.
        """
        from currents_core.finding.discover import Look

        self.addresses = parts.addresses(hour=parts.request.hours[0])
        failed = self._failed_upstream(context)
        if not self.plans:
            raise DeliveryError(f"{self.connector}: nothing was planned; see the log of the first task")
        if APPROVE in failed:
            raise DeliveryError(f"{self.connector}: the run was not approved, and sent nothing; see {APPROVE}")
        if parts.request.is_dry:
            self.outlets = []
            return self._forecast(context, parts, failed)
        return self.close(context, parts, Look.from_json(parts.plans.read(self.plans[0].get("look", ""))), failed)

    def close(self, context: Context, parts: RunParts, found: Look, failed: Sequence[str]) -> dict[str, Any]:
        """Accounts for what the run ``found``. ``failed`` names its failed tasks."""
        from currents_core.books.account import total
        from currents_core.finding.account_hours import account

        request = parts.request
        # A run may be cleared days later.
        found = found.without_ended(parts.ledger.keeps, request.hours)
        announces = bool(self.outlets) and not (request.is_partial or request.is_replay)
        accounts = account(
            parts.connector, request, found, parts.ledger, parts.manifests, source=parts.source, announces=announces
        )
        faults = accounts.complaints(request, failed)
        run = self.run_pass(context, parts, failed)
        complete = self._write(parts, accounts.drafts, run, announces=announces and not faults)
        self._remember(parts, found, accounts.drafts)
        self.show(parts, [*request.past, *found.hours, *request.hours], run)
        if request.looks_back and parts.connector.notify.alerts:
            self._alert(context, parts)
        for rule in total(each.account for each in accounts.manifests).idle_rules:
            self.log.warning("%s: personal data: %s found nothing; check its names", self.connector, rule)
        self._measure(parts, accounts.manifests)
        if request.looks_back:
            self._tidy_up(parts)
        if faults:
            raise DeliveryError(f"{self.connector}: {'; '.join(faults)}")
        self._announce(context, parts.manifests, complete)
        return self._told(parts, accounts)

    def run_pass(self, context: Context, parts: RunParts, failed: Sequence[str]) -> RunPass:
        """What the run did, for whoever wonders afterwards. ``failed`` names its failed tasks."""
        from currents_core.books.run_record import RunPass, RunRecord

        run, request = context["dag_run"], parts.request
        kind = "replay" if request.is_replay else self.kind if request.is_redrive else _run_type(run)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = RunRecord(
            run.run_id, kind, now, run.triggering_user_name or "", request.reason, cleared=run.clear_number or 0
        )
        # A task of an earlier version told none.
        sending = [each["sending"] for each in self.results(context) if "sending" in each]
        return RunPass(record, sending, parts.connector.rates, is_whole=not failed)

    def show(self, parts: RunParts, hours: Sequence[str], run: RunPass) -> None:
        """Brings the overview up to date for hours of the run, which only people's tools read."""
        try:
            if parts.request.is_replay:
                parts.overviews.note_replay(parts.request.hours, run)
            elif hours:
                parts.overviews.catch_up(min(hours), max(hours))
        except CurrentsError as error:
            self.log.warning("%s: the overview is brought up to date by a later run: %s", self.connector, error)

    def _alert(self, context: Context, parts: RunParts) -> None:
        """Tells of what is above the thresholds, as the overview has it by now, and was not told before.

        The newest run that got so far does: others would tell the same, or what nobody remembers the marks of.
        """
        from currents_core.showing.alerts import ALERT_HOURS, alerts
        from currents_core.showing.calendar import Looks

        connector, now = parts.connector, datetime.now(UTC)
        [hour] = parts.request.hours
        before, first, *_ = hours_back(hour, max(ALERT_HOURS, connector.lookback_hours) + 1)
        try:
            index = parts.index.read()
            # What a run by hand accounted for, nobody told of.
            if index and max(index.begun & index.accounted.keys(), default="") > hour:
                return
            views = parts.overviews.between(before, hour)
        except CurrentsError as error:
            self.log.warning("%s: no alert could be looked for: %s", self.connector, error)
            return
        looks = Looks(views, index, now, timedelta(minutes=connector.schedule.delay_minutes))
        found = alerts(connector.notify, looks, first, hour)
        told = [mark for each in found if notices.tell_alert(connector, context, each.line) for mark in each.marks]
        try:
            if told:
                parts.index.change(lambda index: index.with_told(told, first))
        except TransientError as error:
            self.log.warning("%s: the next run tells of the same again: %s", self.connector, error)

    def _write(self, parts: RunParts, drafts: Sequence[Draft], run: RunPass, *, announces: bool) -> list[Manifest]:
        """Writes manifests. Returns those of the hours to announce."""
        # Manifests tell when slices were delivered by the time of the run that did it.
        now = datetime.fromisoformat(run.record.at)
        complete = []
        for draft in drafts:
            if parts.manifests.write(draft, now, announce=announces, run=run):
                complete.append(draft.manifest)
            self.log.info("%s: %s", draft.manifest.hour, draft.manifest.account.totals)
        return complete

    def _told(self, parts: RunParts, accounts: Accounts) -> dict[str, Any]:
        """What the task returns: the totals and the place of each manifest, by hour."""
        totals = {manifest.hour: asdict(manifest.account.totals) for manifest in accounts.manifests}
        for hour, kept in accounts.unchanged.items():
            totals[hour] = kept["totals"]
            self.log.info("%s: nothing new since %s: %s", hour, kept["written_at"], kept["totals"])
        place = f"s3://{parts.state.bucket}"
        return {
            hour: {"manifest": f"{place}/{parts.manifests.key(hour)}", "totals": told}
            for hour, told in sorted(totals.items())
        }

    def _remember(self, parts: RunParts, found: Look, drafts: Sequence[Draft]) -> None:
        """Notes in the index what was judged, which only saves later runs from looking again."""
        from currents_core.finding.account_hours import remember

        if not drafts:
            return
        try:
            remember(parts.index, parts.connector, found, drafts)
        except TransientError as error:
            self.log.warning("%s: the index is as before, so that later runs look again: %s", self.connector, error)

    def _tidy_up(self, parts: RunParts) -> None:
        """Compacts a day that left the window, and ends one that is older than the retention: one of each at most.

        The first run of a day also ends old plans, and fills the overviews.
        """
        steps = [self._compact, self._end_day]
        if parts.request.hours[0].endswith("-00"):
            steps += [self._end_plans, self._fill_overviews]
        for step in steps:
            try:
                step(parts)
            except CurrentsError as error:
                self.log.warning("%s: tidying up is left to the next run: %s", self.connector, error)
            except Exception:
                # What was delivered is delivered, and must be announced.
                self.log.exception("%s: tidying up failed, and is left to the next run", self.connector)

    def _compact(self, parts: RunParts) -> None:
        if date := parts.compaction.compact_next(before=min((*parts.request.past, *parts.request.hours))):
            self.log.info("%s: the state of %s is compacted", self.connector, date)

    def _end_day(self, parts: RunParts) -> None:
        if parts.retention and (date := parts.retention.end_next()):
            self.log.info("%s: the state of %s has ended, as state.retention_days demands", self.connector, date)

    def _end_plans(self, parts: RunParts) -> None:
        if count := parts.plans.end_old():
            self.log.info("%s: %s of old runs removed", self.connector, counted(count, "plan"))

    def _fill_overviews(self, parts: RunParts) -> None:
        # What an earlier version compacted.
        since = date_of_hour(hours_back(parts.request.hours[0], _SHOWN)[0])
        parts.overviews.fill(parts.manifests.read, since)

    def results(self, context: Context) -> list[dict[str, Any]]:
        """What the tasks that are mapped over the plans returned; nothing of those that had nothing to do."""
        mapped = [task.task_id for task in self.upstream_list if task.is_mapped]
        # By index: a removed task of an earlier try may have left a result as well.
        indexes = range(len(self.plans or ()))
        return [each for each in context["ti"].xcom_pull(task_ids=mapped, map_indexes=indexes) if each]

    def _announce(self, context: Context, manifests: Manifests, complete: Sequence[Manifest]) -> None:
        """Has Airflow announce hours once the task has succeeded, and only then notes that it was done."""
        for outlet in self.outlets if complete else ():
            context["outlet_events"][outlet].add_partitions([each.hour for each in complete])
        if not complete:
            # An outlet without partitions would still make an event.
            self.outlets = []

        def note(_context: Context) -> None:
            for manifest in complete:
                manifests.announced(manifest, datetime.now(UTC))

        self.on_success_callback = [*self.on_success_callback, note]

    def _measure(self, parts: RunParts, manifests: Sequence[Manifest]) -> None:
        if parts.request.is_replay:
            return
        name, open_files = parts.connector.name, sum(len(each.open_files) for each in manifests)
        metrics.gauge(name, files_open=open_files, hours_incomplete=sum(not each.complete for each in manifests))
        metrics.count(name, hours_complete=sum(each.complete for each in manifests))
        if parts.request.looks_back:
            lag = datetime.now(UTC) - hour_end(parts.request.hours[0])
            metrics.gauge(name, lag_seconds=lag.total_seconds())

    def _forecast(self, context: Context, parts: RunParts, failed: Sequence[str]) -> dict[str, Any]:
        """The report of a dry run, which leaves no other trace."""
        from currents_core.delivering.dry_run import Forecast, total_forecast

        if failed:
            raise DeliveryError(f"{self.connector}: {', '.join(failed)} failed; see the log")
        forecasts = map(Forecast.from_json, self.results(context))
        report = total_forecast(forecasts).report(parts.connector, parts.request.pace)
        self.log.info("Nothing was sent. A real run would send:\n%s", json.dumps(report, indent=2, ensure_ascii=False))
        return report

    def _failed_upstream(self, context: Context) -> list[str]:
        run = context["dag_run"]
        states = context["ti"].get_task_states(
            dag_id=run.dag_id, run_ids=[run.run_id], task_ids=sorted(self.upstream_task_ids)
        )
        return sorted(name for name, state in states.get(run.run_id, {}).items() if state in FAILED)


def _run_type(run: Any) -> str:
    # Airflow's type is a text, but says its own name where it is made one.
    return str(getattr(run.run_type, "value", run.run_type))
