"""Whether the kernel lets somebody make namespaces: asked of the kernel, not of what needs them.

An engine that does not start where the kernel would let it is a fault, and no reason to skip.
"""

from __future__ import annotations

import subprocess

import pytest


def require(*namespaces: str, user: int = 0) -> None:
    """Skip a test where `user` can make no such namespaces, options of unshare, and mount there."""
    become = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    command = ["setpriv", *become, "unshare", *namespaces, "mount", "-t", "tmpfs", "none", "/mnt"]
    if said := subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip():
        pytest.skip(f"this kernel does not let user {user} {' '.join(namespaces)}: {said}")
