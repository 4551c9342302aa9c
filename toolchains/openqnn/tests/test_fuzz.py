"""A few seconds of libFuzzer over the parsers that are ours, from seeds, with sanitizers.

Longer: `make -C toolchains/openqnn BUILD=... SANITIZE=... fuzzers`, then
`<name>_fuzz -max_total_time=600 CORPUS`. `context_fuzz` has to stand in `bin/<platform>` of a
folder whose `lib` is the SDK root's: it reads through Qualcomm's libQnnSystem.so.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import SOURCES

pytestmark = pytest.mark.pipeline

SANITIZE = "-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -g -O1"
RUNS = 5000
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
    targets = [f"{folder}/{name}_fuzz" for name in SEEDS]
    command = ["make", "-C", str(SOURCES), f"BUILD={folder}", f"SANITIZE={SANITIZE}"]
    done = subprocess.run(
        [*command, f"-j{os.cpu_count()}", *targets], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", SEEDS)
def test_a_parser_reads_or_refuses_whatever_it_is_given(
    fuzzers: Path, tmp_path: Path, name: str
) -> None:
    for number, seed in enumerate(SEEDS[name]):
        (tmp_path / str(number)).write_bytes(seed)
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=2048", "-rss_limit_mb=1024", "-timeout=20"]
    done = subprocess.run(
        [str(fuzzers / f"{name}_fuzz"), *options, f"-artifact_prefix={tmp_path}/", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    (runs,) = re.findall(r"Done (\d+) runs", done.stderr)
    assert int(runs) >= RUNS
