"""What cfn-lint says of a template. It knows AWS's resources, their properties, and the actions and ARNs of IAM."""

from __future__ import annotations

from cfnlint import lint
from cfnlint.config import ManualArgs


def complaints(template: str) -> list[str]:
    """Its complaints in one region, those that are only information among them."""
    config = ManualArgs(regions=["us-east-1"], include_checks=["I"])
    return [f"{match.rule.id}: {match.message}" for match in lint(template, None, ["us-east-1"], config)]
