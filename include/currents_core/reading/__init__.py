"""From files, Parquet or Avro, to frames of rows."""
