# Two images; docker-compose.yaml names the target of each.

# Airflow with this project. The same image runs every part of Airflow.
FROM apache/airflow:3.3.2-python3.11 AS airflow
COPY --chown=airflow:0 requirements.lock /requirements.lock
# - AIRFLOW_VERSION is the image's own: where requirements.lock asks for another, the build stops here.
# - The image brings these four providers and their drivers (psycopg2, asyncpg, redis). Named without a version they are
#   weighed together with the pins of requirements.lock, and replaced only where the two do not go together.
# - The Celery provider (3.26) asks for any Celery 5, but imports a name that 5.7 took away: no worker would start.
RUN pip install --no-cache-dir \
        "apache-airflow==${AIRFLOW_VERSION}" \
        --requirement /requirements.lock \
        apache-airflow-providers-celery \
        apache-airflow-providers-fab \
        apache-airflow-providers-postgres \
        apache-airflow-providers-redis \
        "celery<5.7"
# Airflow itself adds the plugins; `python -m currents_airflow` needs them too.
ENV PYTHONPATH=/opt/airflow/include:/opt/airflow/plugins
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 plugins /opt/airflow/plugins
COPY --chown=airflow:0 include /opt/airflow/include

# Local AWS for the demo: nothing of Airflow, and nothing of the exporter.
FROM python:3.11-slim AS local-aws
WORKDIR /app
COPY requirements.lock requirements-dev.lock ./
# The two files only fix versions here; installed is what the module imports.
RUN pip install --no-cache-dir \
        --constraint requirements.lock \
        --constraint requirements-dev.lock \
        "moto[events,s3,server,sqs]" cbor2 httpx orjson starlette uvicorn
# The user `nobody`, by number, so that an engine can tell without the image's list that it is not root.
COPY --chown=65534:65534 tests/__init__.py tests/
COPY --chown=65534:65534 tests/tools tests/tools
USER 65534:65534
CMD ["python", "-m", "tests.tools.local_aws", "--host", "0.0.0.0", "--port", "5000", "--forever"]
