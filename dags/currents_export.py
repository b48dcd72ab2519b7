"""The DAGs of all connectors: exports, and the redrive of dead letters."""

from currents_airflow.dags import make_dags

globals().update(make_dags())
