"""Writes the schema of every documented event type that files hold to `docs/schemas/`."""

from __future__ import annotations

from pathlib import Path

from currents_core.setup.destination import EventBusDestination
from currents_core.shaping.event_schema import event_schema, schema_text, stored_types

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def files() -> dict[str, str]:
    """The names of the files and what they hold: schemas for the default source."""
    source = EventBusDestination.model_fields["source"].default
    return {f"{name}.json": schema_text(event_schema(name, source)) for name in stored_types()}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = files()
    for path in FOLDER.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, "utf-8")
    print(f"{len(wanted)} schemas are in {FOLDER}")


if __name__ == "__main__":
    main()
