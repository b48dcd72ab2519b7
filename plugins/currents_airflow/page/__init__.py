"""The delivery page: what became of every hour and event, in the Airflow UI. It reads, and changes nothing."""
