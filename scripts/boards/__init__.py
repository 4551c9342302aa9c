"""From an archive to a network in use on boards, over SSH."""

from scripts.boards.fleet import deploy, look, remote_verify, rollback, status, try_out
from scripts.boards.trust import trust

__all__ = ["deploy", "look", "remote_verify", "rollback", "status", "trust", "try_out"]
