"""The DAGs of all connectors: exports, sweeps, and the redrive of dead letters."""

from currents_airflow.dags import make_dags

globals().update(make_dags())
