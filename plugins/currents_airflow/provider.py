"""What Airflow's list of providers says of this project, and the settings that it adds to Airflow's configuration."""

from __future__ import annotations

from typing import Any


def provider_info() -> dict[str, Any]:
    """The entry point `apache_airflow_provider` names this; Airflow's provider_info.schema.json has its form."""
    return {
        "package-name": "currents-export",
        "name": "Currents Export",
        "description": "Exports Braze Currents event files from S3 to Amazon EventBridge.",
        "cli": ["currents_airflow.cli.definition.commands"],
        "config": {
            "currents": {
                "description": "Settings of Currents Export.",
                "options": {
                    "connectors_file": {
                        "description": (
                            "The path of the connectors file, or of a folder with a file for each connector. Every "
                            "part of Airflow that parses DAGs, schedules or runs tasks reads it. Without this setting, "
                            "the environment variable CURRENTS_CONNECTORS names it."
                        ),
                        "type": "string",
                        "version_added": "0.1.0",
                        "example": "/opt/airflow/config/connectors.yaml",
                        "default": None,
                    },
                    "partner_name": {
                        "description": (
                            "The name that AWS registered this organization with as an EventBridge partner. "
                            "Destinations of the kind partner_source need it. Without this setting, the environment "
                            "variable CURRENTS_PARTNER_NAME has it."
                        ),
                        "type": "string",
                        "version_added": "0.1.0",
                        "example": "example.com",
                        "default": None,
                    },
                },
            }
        },
    }
