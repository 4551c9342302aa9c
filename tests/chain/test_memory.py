"""The converter's memory does not grow with the model: large blocks live on the disk."""

import os
import subprocess
import sys
from pathlib import Path

from scripts import sdk

BLOCK, BLOCKS = 16 << 20, 40
# Blocks of 16 MiB, 640 MiB in all, each with contents of its own; freed, grown and read again.
CHILD = f"""
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.realloc.restype = libc.calloc.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def filled(value):
    block = libc.malloc({BLOCK})
    libc.memset(block, value, {BLOCK})
    return block

def holds(block, value, size={BLOCK}):
    ends = ctypes.string_at(block, 64), ctypes.string_at(block + size - 64, 64)
    return ends == (bytes([value]) * 64,) * 2

blocks = [filled(number) for number in range({BLOCKS})]
assert all(holds(block, number) for number, block in enumerate(blocks))
for number in range(0, {BLOCKS}, 3):
    libc.free(blocks[number])
    blocks[number] = filled(number)
grown = blocks[-1] = libc.realloc(blocks[-1], 2 * {BLOCK})
assert holds(grown, {BLOCKS} - 1)
zeros = libc.calloc({BLOCK}, 1)
assert holds(zeros, 0)
assert all(holds(block, number) for number, block in enumerate(blocks))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
for block in blocks:
    libc.free(block)
"""


def test_blocks_beyond_the_budget_keep_their_contents_and_leave_memory(tmp_path: Path) -> None:
    preloaded = sdk.in_force().library("recorder/libQnnHtp.so")
    environment = {"LD_PRELOAD": str(preloaded), "OPENQNN_RECORD": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 256 < int(done.stdout) < 400
    assert list(tmp_path.iterdir()) == []
