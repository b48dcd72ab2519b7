"""The purpose for which events are sent, which marks them."""

from __future__ import annotations

from typing import Literal

Mode = Literal["live", "backfill", "replay", "test"]
