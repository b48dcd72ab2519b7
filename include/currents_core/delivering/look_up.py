"""Says what would become of the rows with an id in a file of the source, under today's settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.books.head import FileState
from currents_core.books.seen_ids import SeenIds
from currents_core.delivering.file_fault import fault_of_file
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.prepare import Preparation
from currents_core.file_key import SourceFile
from currents_core.reading.read import Batch, read
from currents_core.shaping.columns import arrow


@dataclass(frozen=True, slots=True)
class Judged:
    """A row, by its number in the file, and what today's settings make of it.

    It would be sent, unless it was sent before; it is filtered; or it becomes a dead letter, with the ``reason``.
    """

    file: SourceFile
    row: int
    fate: Literal["to send", "filtered", "dead letter"]
    reason: str = ""


def look_up(text: str, file: SourceFile, path: Path, preparation: Preparation) -> Iterator[Judged]:
    """The rows of a file whose `id` is ``text``. ``path`` is where its content is.

    Raises FileError for whatever is wrong with the file.
    """
    try:
        contents = read(path, file.uri)
        for batch in contents.batches:
            for row in _rows(batch.frame, text):
                yield _judged(file, int(row), contents.event_type, batch, preparation)
    except Exception as error:
        raise fault_of_file(error, file.uri) from error


def _rows(frame: pd.DataFrame, text: str) -> pd.Index:
    """The numbers of the rows whose `id` is ``text``."""
    if "id" not in frame.columns:
        return frame.index[:0]
    ids = arrow(frame["id"])
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    # Where a value of the column is not UTF-8, all of its values are bytes.
    is_text = pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)
    if not is_text and not pa.types.is_binary(ids.type) and not pa.types.is_large_binary(ids.type):
        return frame.index[:0]
    same = pc.equal(ids, pa.scalar(text if is_text else text.encode(), ids.type))
    return frame.index[pc.fill_null(same, False).to_numpy(zero_copy_only=False)]


def _judged(file: SourceFile, row: int, schema_type: str | None, batch: Batch, preparation: Preparation) -> Judged:
    opened = OpenFile(FileState(file, 0), "")
    alone = batch._replace(frame=batch.frame.loc[[row]])
    try:
        entries = preparation.entries(opened, SeenIds(), file.event_type or schema_type, alone, "live")
        letters = list(opened.letters)
    finally:
        opened.close()
    if entries:
        return Judged(file, row, "to send")
    if letters:
        return Judged(file, row, "dead letter", f"{letters[0].code}: {letters[0].reason}")
    return Judged(file, row, "filtered")
