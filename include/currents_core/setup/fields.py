"""Types of values that several settings have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from currents_core.setup.patterns import require_pattern


def _folder(prefix: str) -> str:
    """The prefix without leading slashes and with one at its end; empty for the bucket's root."""
    if not prefix.isprintable():
        raise ValueError("the prefix contains a control character; remove it")
    return f"{prefix.strip('/')}/" if prefix.strip("/") else ""


def _plain_value(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError("must be text, a number, true or false; for missing values there is `is_null`")
    return value


# S3 keys end at 1,024 bytes, and what follows a prefix takes some of them.
Prefix = Annotated[
    str, Field(max_length=500, description="a folder in the bucket, up to 500 characters"), AfterValidator(_folder)
]
Pattern = Annotated[
    str,
    AfterValidator(require_pattern),
    Field(description="a shell pattern on the event type, such as users.messages.*; quotes keep `*` text"),
]
Patterns = tuple[Pattern, ...]
Name = Annotated[str, Field(min_length=1, max_length=500, description="the name of a field, as in the event")]
PlainValue = Annotated[Any, AfterValidator(_plain_value)]
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z", description="the name of an S3 bucket")]
ConnId = Annotated[
    str | None,
    # An empty id would silently stand for the machine's own credentials.
    Field(min_length=1, description="an Airflow connection id, or null for the machine's own credentials"),
]
Rate = Annotated[float | None, Field(gt=0, description="a number above 0, or null for no limit of its own")]


class Model(BaseModel):
    """Settings whose keys are all known, and which do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re", allow_inf_nan=False)
