"""Drift: how files differ from what Braze documents. It is worth knowing, and holds no event back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd
import pyarrow as pa

from currents_core.catalog import EventType, catalog
from currents_core.errors import shown
from currents_core.shaping.columns import is_text
from currents_core.shaping.event_schema import schema_version

_is = pa.types
_NAME_LENGTH = 128


def drift(frame: pd.DataFrame, event_type: str) -> Iterator[str]:
    """One line per difference between the columns of rows of one event type and its documented fields.

    ``frame`` has the rows as they were read, in columns with ArrowDtype. Differences are: an undocumented event type; a
    column that is no documented field and has a value; a documented field without a column; and a column whose type
    does not fit the documented one. After these comes the version of the schema that says what is documented.

    Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
    """
    known = catalog().get(event_type)
    if known is None:
        yield "undocumented event type"
        return
    found = list(_differences(frame, known))
    yield from found
    if found and known.stored:
        yield f"schema version {schema_version(event_type)}"


def _differences(frame: pd.DataFrame, known: EventType) -> Iterator[str]:
    documented = {name: field for name, field in known.fields.items() if field.stored}
    for name in frame.columns:
        if name not in documented and name != "event_type" and frame[name].notna().any():
            yield f"new field {shown(name, _NAME_LENGTH)}"
    for name, field in documented.items():
        if name not in frame.columns:
            yield f"field {name} is missing"
        elif not _fits(field.type, name, frame[name].dtype.pyarrow_dtype):
            found = shown(str(frame[name].dtype.pyarrow_dtype), _NAME_LENGTH)
            yield f"field {name} is {found}, but documented as {field.type}"


def _fits(documented: str, name: str, found: pa.DataType) -> bool:
    if _is.is_dictionary(found):
        found = found.value_type
    if _is.is_null(found) or (name == "time" and _is.is_timestamp(found)):
        return True
    return any(matches(found) for matches in _FITTING[documented])


def _is_list_of_text(found: pa.DataType) -> bool:
    is_list = _is.is_list(found) or _is.is_large_list(found)
    return is_list and any(matches(found.value_type) for matches in (*_TEXT, _is.is_null))


_TEXT = (is_text, _is.is_binary, _is.is_large_binary)
_FITTING: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "string": _TEXT,
    "json": (*_TEXT, _is.is_struct, _is.is_map),
    "int": (_is.is_integer,),
    "long": (_is.is_integer,),
    "float": (_is.is_floating, _is.is_decimal),
    "boolean": (_is.is_boolean,),
    "array<string>": (_is_list_of_text,),
}
