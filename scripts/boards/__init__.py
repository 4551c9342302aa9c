"""From an archive to a network in use on boards, over SSH."""

from scripts.boards.fleet import deploy, remote_verify, rollback, status
from scripts.boards.trust import trust

__all__ = ["deploy", "remote_verify", "rollback", "status", "trust"]
