"""A consumer behind the demo's queue, which counts how often it sees each event."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from tests.tools.local_aws import LocalAws
from tests.tools.stage import QUEUE


class Consumer:
    """Takes what is delivered to the queue, and counts how often it sees each event."""

    def __init__(self, aws: LocalAws) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self.first: list[dict[str, Any]] = []
        self._sqs = aws.client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

    def take(self) -> int:
        """Takes up to ten events, and returns how many there were."""
        messages = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            event = orjson.loads(message["Body"])
            self.seen[event["detail-type"], event["detail"]["id"]] += 1
            self.first += [event] if len(self.first) < 3 else []
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return len(messages)

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Takes events all the while; at the end, all that is left."""
        ended = threading.Event()

        def take() -> None:
            while not ended.wait(0.1):
                while self.take():
                    pass

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        while self.take():
            pass
