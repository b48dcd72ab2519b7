"""The purpose of a delivery, which marks its events."""

from __future__ import annotations

from typing import Literal

Mode = Literal["live", "backfill", "replay"]
