"""What a local service gets wrong, and when: a plan whose every decision follows from its seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

# At most one of these befalls a request, and at most one of these an entry: their shares must not exceed 1 in sum.
REQUEST_FAULTS = ("cut_before", "throttle", "server_error", "cut_after")
ENTRY_FAULTS = ("entry_throttle", "entry_failure")
SHARES = (*REQUEST_FAULTS, *ENTRY_FAULTS, "entry_refusal", "slow", "s3_unavailable")
# So that shares like 0.1, 0.2 and 0.7 may be summed in any order.
ROUNDING = 1e-9


class Decision(NamedTuple):
    """What befalls one request: a fault or none, the status of a server error, and seconds to wait for the answer."""

    number: int
    fault: str | None = None
    status: int = 500
    wait: float = 0.0

    def marks(self) -> dict[str, bool]:
        """Why the sender of entries that were accepted may not have learned of it: cut off, or left waiting."""
        marks = {"cut": self.fault == "cut_after", "slow": self.wait > 0}
        return {name: True for name, is_so in marks.items() if is_so}


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Shares, from 0 to 1, of what goes wrong. Requests are counted from 1 on, by the service.

    Of PutEvents requests:

    - cut_before: the connection is closed without an answer, and nothing was accepted
    - throttle: answered 400 ThrottlingException; nothing was accepted
    - server_error: answered 500 InternalException or 503 ServiceUnavailable; nothing was accepted
    - cut_after: the entries are accepted, then the connection is closed without an answer
    - slow: answered only ``slow_seconds`` after the entries were accepted; goes with any of the others

    Of entries:

    - entry_throttle, entry_failure: ThrottlingException and InternalFailure, which another attempt may not meet
    - entry_refusal: MalformedDetail, by the Detail itself, so that every attempt meets it again

    Of S3 requests with ``s3_match`` in their path, /bucket/key, and one of ``s3_methods``, where any are named:

    - s3_unavailable: answered 503 SlowDown, at most ``s3_limit`` times

    A PutEvents request with an entry of ``denied_detail_type``, in which `*` stands for anything, is answered 400
    AccessDeniedException, as a policy with a condition on events:detail-type has it.

    With ``hold``, entries are accepted without being handed on to the bus: it still has to exist.
    """

    seed: int = 0
    throttle: float = 0.0
    server_error: float = 0.0
    cut_before: float = 0.0
    cut_after: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.0
    entry_throttle: float = 0.0
    entry_failure: float = 0.0
    entry_refusal: float = 0.0
    s3_unavailable: float = 0.0
    s3_match: str = ""
    s3_methods: tuple[str, ...] = ()
    s3_limit: int | None = None
    denied_detail_type: str = ""
    hold: bool = False

    def __post_init__(self) -> None:
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, not {getattr(self, name)}")
        for names in (REQUEST_FAULTS, ENTRY_FAULTS):
            if sum(getattr(self, name) for name in names) > 1 + ROUNDING:
                raise ValueError(f"{', '.join(names)} must not exceed 1 in sum")
        if self.slow_seconds < 0 or (self.s3_limit or 0) < 0:
            raise ValueError("slow_seconds and s3_limit must not be negative")

    def decide(self, number: int) -> Decision:
        """What befalls the PutEvents request of a number."""
        fault = self._pick(REQUEST_FAULTS, "request", number)
        status = 500 if self._draw("status", number) < 0.5 else 503
        is_slow = self._draw("slow", number) < self.slow
        return Decision(number, fault, status, self.slow_seconds if is_slow else 0.0)

    def decide_entry(self, number: int, index: int, detail: str) -> str | None:
        """What befalls an entry, by its place in the request of a number, and by its Detail."""
        if self.entry_refusal and self._draw("refusal", detail) < self.entry_refusal:
            return "entry_refusal"
        return self._pick(ENTRY_FAULTS, "entry", number, index)

    def decide_s3(self, number: int) -> bool:
        """Whether the S3 request of a number, of those that match, is answered with an error."""
        return self._draw("s3", number) < self.s3_unavailable

    def matches_s3(self, method: str, path: str) -> bool:
        """Whether an S3 request is one of those that may be answered with an error."""
        return self.s3_match in path and (not self.s3_methods or method in self.s3_methods)

    def _pick(self, names: Sequence[str], *parts: object) -> str | None:
        """One of the faults, each as often as its share says, or None."""
        shares = [(name, getattr(self, name)) for name in names]
        # Entries are many: nothing is drawn where nothing can come of it.
        left = self._draw(*parts) if any(share for _, share in shares) else 1.0
        for name, share in shares:
            left -= share
            if left < 0:
                return name
        return None

    def _draw(self, *parts: object) -> float:
        """A number from 0 to below 1, the same for the same seed and parts on every machine."""
        text = ":".join(map(str, (self.seed, *parts)))
        digest = blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
        # As many bits as a float holds: with more, the highest would be rounded to 1.
        return (int.from_bytes(digest) >> 11) / 2**53


def read_plan(body: bytes) -> FaultPlan:
    """The plan that JSON tells; what it leaves out does not happen. Raises ValueError where it tells anything else."""
    told = orjson.loads(body)
    if not isinstance(told, dict):
        raise ValueError("a plan is a JSON object")
    if isinstance(told.get("s3_methods"), list):
        told["s3_methods"] = tuple(told["s3_methods"])
    defaults = {each.name: each.default for each in fields(FaultPlan)}
    for name, value in told.items():
        if name not in defaults:
            raise ValueError(f"a plan has no {name}; it may have {', '.join(defaults)}")
        if not _fits(value, defaults[name]):
            raise ValueError(f"{name} must not be {value!r}")
    return FaultPlan(**told)


def _fits(value: Any, default: Any) -> bool:
    """Whether a value has the type of the default it replaces; whole numbers are floats too, but booleans are none."""
    if default is None:
        return value is None or type(value) is int
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    return type(value) is type(default) or (type(default) is float and type(value) is int)


class FaultCourse:
    """A plan as it is carried out: it counts requests, from 1 on."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._requests = 0
        self._s3_requests = 0
        self._s3_faults = 0

    def next_request(self) -> Decision:
        """What befalls the next PutEvents request."""
        self._requests += 1
        return self.plan.decide(self._requests)

    def next_s3(self, method: str, path: str) -> bool:
        """Whether the next S3 request is answered with an error."""
        if not self.plan.s3_unavailable or not self.plan.matches_s3(method, path):
            return False
        self._s3_requests += 1
        limit = self.plan.s3_limit
        fails = self.plan.decide_s3(self._s3_requests) and (limit is None or self._s3_faults < limit)
        self._s3_faults += fails
        return fails
