"""Programs that run side by side in containers, each waited for by a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType

import docker
from scripts.pipeline import container
from scripts.pipeline.container import Leash, Outcome, Program, Screen


@dataclass(frozen=True)
class Ended:
    """A program that has ended: how, and after how many seconds."""

    key: str
    outcome: Outcome
    seconds: float


class Crew:
    """Starts programs and hands back those that have ended; none outlives the block."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self._client, self._image = client, image
        self._leash = Leash(client)
        self._threads: list[threading.Thread] = []
        self._ended: SimpleQueue[Ended | BaseException] = SimpleQueue()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leash.pull()
        for thread in self._threads:
            if thread.is_alive():  # an interrupt may come before it is started
                thread.join()

    def start(self, key: str, program: Program, screen: Screen) -> None:
        """Start a program, whose end has this key."""
        # A second Ctrl-C, while the first is heard, must not wait for it.
        thread = threading.Thread(target=self._run, args=(key, program, screen), daemon=True)
        self._threads.append(thread)
        thread.start()

    def next(self) -> Ended:
        """Wait for the next program to end.

        Raises:
            Exception: whatever kept a program from running, e.g. an engine that is gone.
        """
        ended = self._ended.get()
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _run(self, key: str, program: Program, screen: Screen) -> None:
        started = time.monotonic()
        try:
            outcome = container.run(self._client, self._image, program, screen, self._leash)
        except BaseException as error:
            self._ended.put(error)
        else:
            self._ended.put(Ended(key, outcome, time.monotonic() - started))
