"""What a file may cost. Each limit is checked before the bytes that it limits are decompressed or copied.

Currents files stay far below all of these: they have at most 100 columns, rows of some kilobytes, and at most 100,000
rows. So the limits only meet what is damaged, made to harm, or not a Currents file.
Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents
"""

from __future__ import annotations

from currents_core.errors import FileError

_MEBIBYTE = 1 << 20

# The rows that are prepared together, by number and by their bytes as JSON, in which each byte of text counts twice: it
# may have to be escaped. A few copies of a batch exist at the same time.
BATCH_ROWS = 10_000
BATCH_BYTES = 32 * _MEBIBYTE
# A row with more bytes of JSON, so counted, becomes a dead letter. EventBridge takes a million.
ROW_BYTES = 4 * _MEBIBYTE
# Values of such a row with more bytes than this are left out of its dead letter.
VALUE_BYTES = 1_024
# The rows that are decoded together, by their bytes in memory. But at least a few are, and so much may have to be gone
# through for each batch.
DECODED_BYTES = 64 * _MEBIBYTE
LEAST_ROWS = 4
AGAIN_BYTES = 2_048 * _MEBIBYTE
# What a reader must hold at once: of each column a page and a dictionary, compressed and decompressed.
HELD_BYTES = 320 * _MEBIBYTE
# A block of an Avro file, decompressed; and the blocks that are decoded together, in memory. As Python objects, a few
# records take as much as that, and those of a block twice.
BLOCK_BYTES = 16 * _MEBIBYTE
AVRO_BYTES = 256 * _MEBIBYTE
# The description of a Parquet file at its end, and of an Avro file at its beginning.
FOOTER_BYTES = 8 * _MEBIBYTE
HEADER_BYTES = 1 * _MEBIBYTE
# The pages of all columns of a Parquet file. Each takes some microseconds to find.
PAGES = 250_000
# Rows of a file.
ROWS = 10_000_000
# Each column costs time with every batch, and so does each event type; for each event type, all columns do.
COLUMNS = 2_000
EVENT_TYPES = 250
COLUMNS_OF_TYPES = 20_000
# Columns within each other, and the bytes of the name of one.
DEPTH = 64
NAME_BYTES = 4_096


def require(what: str, count: int, most: int) -> None:
    """Raises FileError, without the name of the file, if ``count`` is more than ``most``. ``what`` names the unit."""
    if count > most:
        raise FileError(f"{count:,} {what}, over the limit of {most:,}")
