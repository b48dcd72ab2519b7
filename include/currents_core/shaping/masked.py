"""Samples without personal data, for people who look at what is sent, or can't be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from currents_core.catalog import catalog
from currents_core.entry import Entry
from currents_core.shaping.envelope import USER_FIELDS
from currents_core.shaping.personal_data import REDACTED


def masked(entry: Entry) -> dict[str, Any]:
    """The envelope of an entry without personal data.

    Redacted are everything in `user`, the fields that Braze marks as personal data or does not document, and those that
    customers, their users or other servers fill in as they like: text, addresses, tokens, JSON and lists.
    """
    envelope: dict[str, Any] = orjson.loads(entry.detail)
    for place in ("user", "properties"):
        for name in envelope.get(place, {}):
            if place == "user" or not _is_harmless(entry.detail_type, name):
                envelope[place][name] = REDACTED
    return envelope


def masked_record(event_type: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a dead letter without personal data, by the same rule; what is null stays null."""
    return {
        name: value if value is None or _is_harmless(event_type, name) else REDACTED for name, value in record.items()
    }


# What Braze does not mark everywhere, though anything may be in it: what somebody wrote, what a server answered or was
# called with, and what tells a user or a device.
_TOLD_BY_OTHERS = {
    *USER_FIELDS,
    *("gender", "orphaned_by_id", "user_agent"),
    *("message_body", "quick_reply_text", "error", "raw_response", "retry_log"),
    *("url", "short_url", "url_path", "endpoint_url"),
    *("bsuid", "push_token", "push_token_device_id", "push_to_start_token", "update_token"),
    *("web_push_token_public_key", "web_push_token_user_auth", "web_push_token_vapid_public_key"),
}


def _is_harmless(event_type: str, name: str) -> bool:
    documented = catalog().get(event_type)
    field = documented.fields.get(name) if documented else None
    if field is None or field.personal or name in _TOLD_BY_OTHERS:
        return False
    return field.type not in {"json", "array<string>"}
