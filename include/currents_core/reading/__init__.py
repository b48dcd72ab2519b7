"""From Parquet and Avro files to frames of rows."""
