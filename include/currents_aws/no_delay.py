"""Turns off Nagle's algorithm on connections of AWS's Common Runtime, which has no setting for it in Python yet.

The runtime writes a request in pieces of 8 KB with TLS, and of 16 KB without. Nagle's algorithm holds the last piece
back until the service has acknowledged the earlier ones, and the service waits up to 40 ms for more data before it
does. Each request of ten entries would stand still for that long. urllib3, and so boto3, turns the algorithm off as
well.

Remove this once awscrt.io.SocketOptions has the setting: https://github.com/awslabs/aws-c-io/pull/816
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from stat import S_ISSOCK

_OPEN_FILES = "/proc/self/fd"


class NoDelay:
    """Finds new connections to ``port`` among the open files of this process. It finds none except on Linux."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._seen: set[int] = set()

    def look(self) -> None:
        """Turns the algorithm off on each connection that was not there before. Safe to call from several threads."""
        there: set[int] = set()
        with suppress(OSError), os.scandir(_OPEN_FILES) as files:
            for file in files:
                # The file may be closed by now. A socket that is not connected yet is looked at again next time.
                with suppress(OSError):
                    number = int(file.name)
                    found = os.fstat(number)
                    if S_ISSOCK(found.st_mode):
                        if found.st_ino not in self._seen:
                            self._set(number)
                        there.add(found.st_ino)
        self._seen = there

    def _set(self, number: int) -> None:
        # This closes a copy, because the number itself belongs to the runtime.
        with socket.socket(fileno=os.dup(number)) as copy:
            if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.getpeername()[1] == self._port:
                copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
