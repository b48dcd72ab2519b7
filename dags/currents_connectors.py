"""Shows the faults of the connectors file as an import error; a file of its own, so that they stop no valid DAG."""

from currents_airflow.dags import report_faults

report_faults()
