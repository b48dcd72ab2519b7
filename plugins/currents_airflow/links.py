"""Links of tasks, in the UI, to what they worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class _FoundLink(BaseOperatorLink):
    """Leads to the address that the task keeps under the link's name. Airflow asks for it when a try has ended."""

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """The address, or an empty text if the task did not get that far."""
        return str(operator.addresses.get(self.name, ""))


class EventBusLink(_FoundLink):
    """To the event bus."""

    name = "Event bus"


class SourceFilesLink(_FoundLink):
    """To the files in S3."""

    name = "Source files"


class HourManifestLink(_FoundLink):
    """To the manifest of the run's hour."""

    name = "Hour manifest"


class DeliveriesLink(_FoundLink):
    """To the delivery page: the run's hour, or the month of its last hour."""

    name = "Deliveries"


class PartnerSourcesLink(_FoundLink):
    """To the partner event sources of the customer's account."""

    name = "Partner event sources"


class LogGroupLink(_FoundLink):
    """To the log group of an event bus."""

    name = "Log group"
