"""What a delivery is made for, as its events say."""

from __future__ import annotations

from typing import Literal

Mode = Literal["live", "backfill", "replay"]
