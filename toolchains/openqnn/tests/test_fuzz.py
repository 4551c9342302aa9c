"""A few seconds of libFuzzer over the parsers that are ours, from seeds, with sanitizers.

Longer: `make -C toolchains/openqnn BUILD=... SANITIZE=... fuzzers`, then
`<name>_fuzz -max_total_time=600 CORPUS`. `context_fuzz` has to stand in `bin/<platform>` of a
folder whose `lib` is the SDK root's: it reads through Qualcomm's libQnnSystem.so, and takes the
settings below.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import HOST, SOURCES

pytestmark = pytest.mark.pipeline

SANITIZE = "-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -g -O1"
RUNS = 5000
# Each has 48 KB and is read by a library that is not instrumented: about 80 a second.
CONTEXTS = 400
# Crashes of that library go to the harness, which knows what they are.
OF_CONTEXTS = ("-handle_segv=0", "-handle_bus=0", "-rss_limit_mb=2048")
ASAN_OF_CONTEXTS = "handle_segv=0:handle_sigbus=0:replace_intrin=0:detect_leaks=0"
LEVEL_1 = (
    b'{"backend_extensions": {"shared_library_path": "/dev/null",'
    b' "config_file_path": "/dev/fd/900"}}\0'
)
SEEDS = {
    "config": [
        LEVEL_1 + b'{"graphs": [{"graph_names": ["a", "b"], "vtcm_mb": 8, "O": 3, "dlbc": true}],'
        b' "devices": [{"soc_model": 77, "dsp_arch": "v73", "cores": [{"core_id": 0}]}]}',
        LEVEL_1 + b'{"graphs": {"graph_names": ["a"], "vtcm_mb": 1e300, "hvx_threads": -1.5}}',
        LEVEL_1 + b"[" * 100,
    ],
    "input_list": [b"x:=a.raw mask:=b.raw position:=c.raw\n\na b c\n", b"a mask:=b c\r\n"],
}


@pytest.fixture(scope="module")
def fuzzers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzers")
    targets = [f"{folder}/{name}_fuzz" for name in (*SEEDS, "context")]
    command = ["make", "-C", str(SOURCES), f"BUILD={folder}", f"SANITIZE={SANITIZE}"]
    done = subprocess.run(
        [*command, f"-j{os.cpu_count()}", *targets], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def fuzz(
    program: Path, corpus: Path, runs: int, *options: str, asan: str = ""
) -> subprocess.CompletedProcess[str]:
    common = [f"-runs={runs}", "-seed=1", "-rss_limit_mb=1024", "-timeout=20"]
    return subprocess.run(
        [str(program), *common, *options, f"-artifact_prefix={corpus}/", str(corpus)],
        env={**os.environ, "ASAN_OPTIONS": asan}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def held(corpus: Path, seeds: Sequence[bytes]) -> Path:
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    return corpus


@pytest.mark.parametrize("name", SEEDS)
def test_a_parser_reads_or_refuses_whatever_it_is_given(
    fuzzers: Path, tmp_path: Path, name: str
) -> None:
    corpus = held(tmp_path, SEEDS[name])
    done = fuzz(fuzzers / f"{name}_fuzz", corpus, RUNS, "-max_len=2048")
    assert done.returncode == 0, done.stderr[-4000:]
    (runs,) = re.findall(r"Done (\d+) runs", done.stderr)
    assert int(runs) >= RUNS


def test_no_damaged_context_is_read_past_its_end(
    fuzzers: Path, root: Path, context: Path, tmp_path: Path
) -> None:
    """A crash inside Qualcomm's library is a refusal; whatever passed is safe to be used."""
    binaries = tmp_path / "root/bin" / HOST
    binaries.mkdir(parents=True)
    shutil.copy(fuzzers / "context_fuzz", binaries)
    (tmp_path / "root/lib").symlink_to(root / "lib")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    whole = context.read_bytes()
    # Byte 169 counts graphs that libQnnSystem.so makes room for and does not fill.
    held(corpus, [whole, whole[:169] + b"\x26" + whole[170:]])
    done = fuzz(
        binaries / "context_fuzz", corpus, CONTEXTS, "-max_len=65536", *OF_CONTEXTS,
        asan=ASAN_OF_CONTEXTS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {CONTEXTS} runs" in done.stderr
