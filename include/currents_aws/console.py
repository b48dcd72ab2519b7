"""Addresses of pages in the AWS console."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote

from botocore.session import get_session

# Each partition of AWS has its own console. Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
_HOSTS = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
_HOST = "console.aws.amazon.com"


def bus_address(region: str, name: str) -> str:
    """The page of an event bus. ``name`` is its name or ARN."""
    bus = quote(name.rpartition("event-bus/")[2], safe="")
    return f"{_console(region)}/events/home?region={region}#/eventbus/{bus}"


def sources_address(region: str) -> str:
    """The page of the partner event sources that are offered to an account."""
    return f"{_console(region)}/events/home?region={region}#/partners"


def log_address(region: str, group: str) -> str:
    """The page of a log group."""
    # The console decodes what follows the hash twice, with `$` for `%`.
    name = quote(quote(group, safe=""), safe="").replace("%", "$")
    return f"{_console(region)}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{name}"


def folder_address(region: str, bucket: str, prefix: str) -> str:
    """The page that lists the objects of a bucket below a prefix. ``region`` only tells the partition."""
    return f"{_console(region)}/s3/buckets/{bucket}?prefix={quote(prefix, safe='')}"


def object_address(region: str, bucket: str, key: str) -> str:
    """The page of an object. ``region`` only tells the partition."""
    return f"{_console(region)}/s3/object/{bucket}?prefix={quote(key, safe='')}"


@cache
def _console(region: str) -> str:
    # A session reads botocore's whole list of endpoints.
    partition = get_session().get_partition_for_region(region)
    return f"https://{_HOSTS.get(partition, _HOST)}"
