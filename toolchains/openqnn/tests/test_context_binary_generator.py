from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    BOARD,
    CONFIG,
    FILE,
    GRAPH,
    HOST,
    LIBRARY,
    MODEL,
    SOURCES,
    TARGET,
    USAGE,
    VERSION,
    Generate,
    Run,
)

pytestmark = pytest.mark.pipeline

PROGRAM = "qnn-context-binary-generator"
DEVICE = {"soc_model": 77, "dsp_arch": "v73"}
TINY = {"graph_names": ["tiny_fc"]}


def options_of(context: Path) -> str:
    """The options that the compiler writes in clear text into what it makes."""
    return context.read_bytes().decode("latin1")


def test_what_is_asked_for_reaches_the_compiler(
    generate: Generate, config: Any, tmp_path: Path
) -> None:
    graph = {**TINY, "O": 1, "vtcm_mb": 4, "hvx_threads": 2, "dlbc": 1}
    done = generate(tmp_path, config_file=config(graphs=[graph]))
    assert done.returncode == 0, done.stderr
    text = options_of(tmp_path / "tiny.bin")
    for option in ("O=1;", "vtcm_size=4194304;", "hvx_threads=2;", "enable_dlbc=true;", "QCS9100"):
        assert option in text, option


def test_vtcm_zero_is_all_that_the_device_has(
    generate: Generate, config: Any, tmp_path: Path
) -> None:
    done = generate(tmp_path, config_file=config(graphs=[{**TINY, "vtcm_mb": 0}]))
    assert done.returncode == 0, done.stderr
    assert "vtcm_size=8388608;" in options_of(tmp_path / "tiny.bin")


def test_the_same_bytes_whatever_surrounds_the_run(
    root: Path, backend: Path, model: Path, config: Any, generate: Generate, tmp_path: Path
) -> None:
    assert generate(tmp_path / "a").returncode == 0
    library = shutil.copy(model, tmp_path / "another_name_of_the_library.so")
    folder = tmp_path / ("a_longer_name" * 9)
    processor = min(os.sched_getaffinity(0))
    surroundings = ["taskset", "-c", str(processor), "sh", "-c", 'ulimit -S -s 4096; "$@"', "sh"]
    program = [root / "bin" / HOST / PROGRAM, "--model", library, "--backend", backend]
    options = ["--binary_file", "b", "--output_dir", folder, "--config_file", config()]
    subprocess.run(
        [*surroundings, *program, *options, "--profiling_level", "detailed"],
        env={**os.environ, "PADDING": "x" * 30000},
        cwd="/",
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "a/tiny.bin").read_bytes() == (folder / "b.bin").read_bytes()


def test_a_digest_stands_beside_the_context(context: Path) -> None:
    digest = hashlib.sha256(context.read_bytes()).hexdigest()
    assert Path(f"{context}.sha256").read_text() == f"{digest}  tiny.bin\n"


def test_profile_estimates_the_device(generate: Generate, tmp_path: Path) -> None:
    assert generate(tmp_path, profiling_level="detailed").returncode == 0
    rows = [
        line.split(",") for line in (tmp_path / "qnn-profiling-data_0.csv").read_text().splitlines()
    ]
    assert rows[0][1:4] == ["Message", "Time", "Unit of Measurement"]
    found = {row[6]: (row[1], int(row[2]), row[3]) for row in rows[1:]}
    kind, cycles, unit = found["Simulated (Accelerator exec cycles)"]
    assert (kind, unit) == ("BACKEND", "CYCLES")
    assert cycles > 0
    assert found["QNN (finalize) time"][0] == "FINALIZE"


def test_the_trace_is_the_compilers_and_changes_no_byte(generate: Generate, tmp_path: Path) -> None:
    plain, traced = tmp_path / "plain", tmp_path / "traced"
    assert generate(plain, profiling_level="detailed").returncode == 0
    done = generate(traced, profiling_level="detailed", profiling_option="optrace")
    assert done.returncode == 0, done.stderr
    assert (plain / "tiny.bin").read_bytes() == (traced / "tiny.bin").read_bytes()
    assert not (plain / "qnn-profiling-data_0.log").exists()
    log = (traced / "qnn-profiling-data_0.log").read_bytes()
    text = log[log.rindex(b"{", 0, log.index(b'"traceEvents"')) :].decode("latin1")
    trace, _ = json.JSONDecoder().raw_decode(text)
    assert any(event["ph"] == "X" and event["dur"] for event in trace["traceEvents"])
    rows = (traced / "qnn-profiling-data_0.csv").read_text()
    assert rows.splitlines()[0] == (plain / "qnn-profiling-data_0.csv").read_text().splitlines()[0]
    assert "OBJECT" not in rows


def test_a_trace_needs_the_detailed_profile(generate: Generate, tmp_path: Path) -> None:
    for options in ({}, {"profiling_level": "basic"}):
        done = generate(tmp_path, profiling_option="optrace", **options)
        assert done.returncode == USAGE
        assert "needs --profiling_level detailed" in done.stderr
    done = generate(tmp_path, profiling_level="detailed", profiling_option="all")
    assert "--profiling_option all is not one of: optrace" in done.stderr


def graph(**keys: Any) -> dict[str, Any]:
    return {"graphs": [{**TINY, **keys}]}


def device(**keys: Any) -> dict[str, Any]:
    return {"devices": [{**DEVICE, **keys}]}


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"nonsense": 1}, CONFIG, "level2.json.nonsense is an unknown key"),
    (graph(vtcm=8), CONFIG, "graphs[0].vtcm is an unknown key"),
    (graph(num_cores=2), CONFIG, "num_cores is not supported by openqnn"),
    ({"context": {"weight_sharing_enabled": True}}, CONFIG, "context is not supported"),
    (device(soc=77), CONFIG, "devices[0].soc is an unknown key"),
    (graph(O=4), CONFIG, "O must be a whole number from 1 to 3"),
    (graph(O="3"), CONFIG, "O must be a whole number"),
    (graph(O=2.5), CONFIG, "O must be a whole number"),
    (graph(fp16_relaxed_precision=2), CONFIG, "fp16_relaxed_precision must be"),
    (graph(graph_names=[]), CONFIG, "needs graph_names"),
    (
        {"graphs": [{**TINY, "O": 2}, {**TINY, "O": 3}]},
        CONFIG,
        "configures the graph tiny_fc twice",
    ),
    (graph(graph_names=["other"]), GRAPH, "graph_names"),
    ({**graph(vtcm_mb=0), "devices": []}, CONFIG, "no soc_model"),
    (device(soc_id=60), CONFIG, "soc_id and soc_model, and they differ"),
    (device(htp_arch="v75"), CONFIG, "dsp_arch and htp_arch, and they differ"),
    (device(dsp_arch="73"), CONFIG, "not of the form v73"),
    (device(dsp_arch="v75"), TARGET, "asks for dsp_arch v75; its SoC has v73"),
    ({"graphs": [], **device(dsp_arch="v68")}, TARGET, "asks for dsp_arch v68; its SoC has v73"),
    (device(soc_model=9999), TARGET, "does not know the device"),
    ({"devices": [DEVICE, DEVICE]}, CONFIG, "more than one device"),
    (graph(vtcm_mb=16), TARGET, "asks for vtcm_mb 16; the device has 8"),
    (graph(hvx_threads=40), TARGET, "fewer than 40 hvx_threads"),
]


@pytest.mark.parametrize(("blocks", "code", "words"), REFUSED, ids=[r[2] for r in REFUSED])
def test_a_configuration_that_cannot_be_met_is_refused(
    generate: Generate, config: Any, tmp_path: Path, blocks: dict[str, Any], code: int, words: str
) -> None:
    done = generate(tmp_path / "out", config_file=config(**blocks))
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert not list(tmp_path.glob("out/*.bin*"))


def test_a_key_given_twice_is_refused(generate: Generate, config: Any, tmp_path: Path) -> None:
    text = '{"graphs": [{"graph_names": ["tiny_fc"], "O": 2, "O": 3}]}'
    done = generate(tmp_path, config_file=config(text))
    assert done.returncode == CONFIG
    assert 'the key "O" is given twice' in done.stderr


def test_broken_json_is_refused(generate: Generate, config: Any, tmp_path: Path) -> None:
    done = generate(tmp_path, config_file=config("{"))
    assert done.returncode == CONFIG
    assert "level2.json is not valid JSON" in done.stderr


def test_an_extension_library_that_is_not_there_is_refused(
    generate: Generate, config: Any, tmp_path: Path
) -> None:
    path = config()
    text = json.loads(path.read_text())
    text["backend_extensions"]["shared_library_path"] = "/nowhere/lib.so"
    path.write_text(json.dumps(text))
    done = generate(tmp_path, config_file=path)
    assert done.returncode == CONFIG
    assert "/nowhere/lib.so, which is not there" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nonsense"], "Unknown option --nonsense"),
        (["stray"], "Stray argument"),
        (["--model", "a.so"], "--backend is missing"),
        (["--model"], "--model needs a value"),
        (["--model", "a", "--model", "b"], "--model is given twice"),
    ],
)
def test_a_wrong_command_line_is_refused(run: Run, words: list[str], message: str) -> None:
    done = run(PROGRAM, *words)
    assert done.returncode == USAGE
    assert message in done.stderr


@pytest.mark.parametrize("program", [PROGRAM, "qnn-net-run", "qnn-context-binary-utility"])
def test_help_and_version(run: Run, program: str) -> None:
    assert "usage: " + program in run(program, "--help").stdout
    assert "QNN API 2.40" in run(program, "--version").stdout


def test_a_library_for_the_board_is_refused_here(
    generate: Generate, libraries: Path, tmp_path: Path
) -> None:
    done = generate(tmp_path, model=libraries / BOARD / "libtiny_fc.so")
    assert done.returncode == LIBRARY
    assert "is for aarch64; this program runs on x86_64" in done.stderr


@pytest.mark.parametrize("kept", [0, 40, 5000, 20000])
def test_a_truncated_library_is_refused(
    generate: Generate, model: Path, tmp_path: Path, kept: int
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(model.read_bytes()[:kept])
    done = generate(tmp_path, model=broken)
    assert done.returncode == LIBRARY, done.stderr
    assert "is truncated" in done.stderr or "is not a shared library" in done.stderr


def test_a_library_without_the_exports_is_refused(
    generate: Generate, backend: Path, model: Path, tmp_path: Path
) -> None:
    done = generate(tmp_path, model=backend.with_name("libQnnSystem.so"))
    assert done.returncode == LIBRARY
    assert "does not export QnnModel_composeGraphs" in done.stderr
    done = generate(tmp_path, backend=model)
    assert done.returncode == LIBRARY
    assert "does not export QnnInterface_getProviders" in done.stderr
    done = generate(tmp_path, model_prefix="Other")
    assert "does not export Other_composeGraphs" in done.stderr


@pytest.mark.parametrize(
    ("entry", "minor", "code", "words"),
    [
        ("QnnInterface_getProviders", 39, VERSION, "speaks QNN API 2.39.0; this program"),
        ("something_else", 40, LIBRARY, "does not export QnnInterface_getProviders"),
    ],
)
def test_a_backend_of_another_version_is_refused(
    generate: Generate, tmp_path: Path, entry: str, minor: int, code: int, words: str
) -> None:
    fake = tmp_path / "libFake.so"
    subprocess.run(
        ["clang-14", "-shared", "-fPIC", f"-I{SOURCES}/include/QNN", f"-DENTRY={entry}",
         f"-DCORE_MINOR={minor}", SOURCES / "tests/native/fake_backend.c", "-o", fake],
        check=True,
    )  # fmt: skip
    done = generate(tmp_path, backend=fake)
    assert done.returncode == code
    assert words in done.stderr


def test_a_weight_that_does_not_fit_its_tensor_is_refused(
    run: Run, generate: Generate, golden_bin: Path, tmp_path: Path
) -> None:
    source = (SOURCES / "tests/golden/tiny_fc.cpp").read_text()
    (tmp_path / "m.cpp").write_text(source.replace(" 1, {16},", " 1, {17},"))
    done = run(
        "qnn-model-lib-generator", "-c", tmp_path / "m.cpp", "-b", golden_bin, "-t", HOST,
        "-o", tmp_path, "-l", "m", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = generate(tmp_path, model=tmp_path / HOST / "libm.so")
    assert done.returncode == MODEL
    assert 'tensor "fc.bias": its dimensions need 68 bytes, its data has 64' in done.stderr


def test_a_full_disk_is_said_in_words(generate: Generate, tmp_path: Path) -> None:
    done = generate(tmp_path, output_dir="/proc/nowhere")
    assert done.returncode == FILE
    assert "/proc/nowhere" in done.stderr


def test_two_models_share_one_context(
    run: Run, generate: Generate, config: Any, golden_bin: Path, model: Path, tmp_path: Path
) -> None:
    source = (SOURCES / "tests/golden/tiny_fc.cpp").read_text()
    (tmp_path / "m.cpp").write_text(source.replace('"tiny_fc"', '"second"'))
    library = run(
        "qnn-model-lib-generator", "-c", tmp_path / "m.cpp", "-b", golden_bin, "-t", HOST,
        "-o", tmp_path, "-l", "m", cwd=tmp_path,
    )  # fmt: skip
    assert library.returncode == 0, library.stderr
    both = config(graphs=[{"graph_names": ["tiny_fc", "second"], "O": 1}])
    paths = f"{model},{tmp_path}/{HOST}/libm.so"
    done = generate(tmp_path, model=paths, config_file=both)
    assert done.returncode == 0, done.stderr
    described = run(
        "qnn-context-binary-utility", "--context_binary", tmp_path / "tiny.bin",
        "--json_file", tmp_path / "tiny.json",
    )  # fmt: skip
    assert described.returncode == 0, described.stderr
    graphs = json.loads((tmp_path / "tiny.json").read_text())["info"]["graphs"]
    assert sorted(graph["info"]["graphName"] for graph in graphs) == ["second", "tiny_fc"]
