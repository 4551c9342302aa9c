"""A wire between us and a board that can be cut: a TCP proxy on loopback."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_RESET = struct.pack("ii", 1, 0)


@dataclass
class Wire:
    """Passes bytes on; connection n is torn apart once it has sent `cuts[n]` bytes to the board.

    `freeze` makes such a connection fall silent instead, as when a network cable is pulled.
    """

    target: int
    cuts: list[int] = field(default_factory=list)
    freeze: bool = False
    sent: list[int] = field(default_factory=list)
    port: int = 0
    _open: list[socket.socket] = field(default_factory=list)

    def serve(self, server: socket.socket) -> None:
        """Pass connections on until the server is closed."""
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            number = len(self.sent)
            self.sent.append(0)
            self._open += [near, far]
            threading.Thread(target=self._up, args=(near, far, number), daemon=True).start()
            threading.Thread(target=_pass, args=(far, near), daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for end in self._open:
            _end(end)

    def _up(self, near: socket.socket, far: socket.socket, number: int) -> None:
        limit = self.cuts[number] if number < len(self.cuts) else None
        with suppress(OSError):
            while piece := near.recv(1 << 14):
                if limit is not None and self.sent[number] + len(piece) >= limit:
                    far.sendall(piece[: limit - self.sent[number]])
                    self.sent[number] = limit
                    self._tear(near, far)
                    return
                self.sent[number] += len(piece)
                far.sendall(piece)
        _end(far)

    def _tear(self, *both: socket.socket) -> None:
        if self.freeze:
            return
        for end in both:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def wire(target: int, cuts: Sequence[int] = ()) -> Iterator[Wire]:
    """Lay a wire to a port of this machine."""
    cable = Wire(target, list(cuts))
    with socket.create_server(("127.0.0.1", 0)) as server:
        cable.port = server.getsockname()[1]
        threading.Thread(target=cable.serve, args=(server,), daemon=True).start()
        yield cable
    cable.close()


def _end(end: socket.socket) -> None:
    # Closed alone, it would stay open for as long as another thread waits for it to say something.
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
