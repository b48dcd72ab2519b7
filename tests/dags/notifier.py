"""A notifier for tests: it writes what it is told into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk.bases.notifier import BaseNotifier


class FileNotifier(BaseNotifier):
    """Writes ``text`` to a new line of ``path``."""

    template_fields = ("text",)

    def __init__(self, path: str, text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.text = text

    def notify(self, context: Any) -> None:
        with Path(self.path).open("a") as file:
            file.write(f"{self.text}\n")

    async def async_notify(self, context: Any) -> None:
        self.notify(context)
