from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CONTEXT, FILE, INPUT, INTERNAL, TARGET, USAGE, Run

pytestmark = pytest.mark.pipeline


NetRun = Callable[..., Any]


@pytest.fixture
def net_run(run: Run, backend: Path, tmp_path: Path) -> NetRun:
    def call(*words: object) -> Any:
        common = ("--backend", backend, "--output_dir", tmp_path / "out")
        return run("qnn-net-run", *common, *words)

    return call


def expected(sample: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """What the golden model computes, in [16, 8]."""
    return (sample @ weights["fc_weight"].T + weights["fc_bias"]).T


def result(folder: Path, index: int, name: str = "y.raw") -> np.ndarray:
    return np.fromfile(folder / f"out/Result_{index}" / name, np.float32).reshape(16, 8)


def test_a_context_computes_what_the_model_says(
    net_run: NetRun, context: Path, inputs: Any, weights: Any, tmp_path: Path
) -> None:
    path, samples = inputs
    done = net_run("--retrieve_context", context, "--input_list", path)
    assert done.returncode == 0, done.stderr
    for index, sample in enumerate(samples):
        np.testing.assert_allclose(
            result(tmp_path, index), expected(sample, weights), atol=0.02, rtol=0
        )
    text = (tmp_path / "out/execution_metadata.yaml").read_text()
    assert 'graph_name: "tiny_fc"' in text
    assert "dimensions: [16, 8]" in text


def test_a_library_gives_the_bits_of_its_context(
    net_run: NetRun, context: Path, model: Path, config: Any, inputs: Any, tmp_path: Path
) -> None:
    path, samples = inputs
    assert net_run("--retrieve_context", context, "--input_list", path).returncode == 0
    first = [result(tmp_path, index) for index in range(len(samples))]
    done = net_run("--model", model, "--input_list", path, "--config_file", config())
    assert done.returncode == 0, done.stderr
    for index, values in enumerate(first):
        np.testing.assert_array_equal(result(tmp_path, index), values)


def test_native_files_and_repeated_runs(
    net_run: NetRun, context: Path, inputs: Any, tmp_path: Path
) -> None:
    words = ("--use_native_input_files", "--use_native_output_files", "--num_inferences", 3)
    done = net_run("--retrieve_context", context, "--input_list", inputs[0], *words)
    assert done.returncode == 0, done.stderr
    native = "y_native.raw"
    np.testing.assert_array_equal(result(tmp_path, 0, native), result(tmp_path, 2, native))
    assert not np.array_equal(result(tmp_path, 0, native), result(tmp_path, 1, native))


def test_only_the_outputs_that_are_wanted_are_kept(
    net_run: NetRun, context: Path, inputs: Any, tmp_path: Path
) -> None:
    done = net_run(
        "--retrieve_context", context, "--input_list", inputs[0], "--keep_num_outputs", 1
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("out/Result_*")] == ["Result_0"]


def test_profiling_counts_cycles_of_every_node(
    net_run: NetRun, context: Path, inputs: Any, tmp_path: Path
) -> None:
    words = ("--profiling_level", "detailed")
    done = net_run("--retrieve_context", context, "--input_list", inputs[0], *words)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out/qnn-profiling-data_0.csv").read_text()
    assert text.count("0,EXECUTE,") == 2
    assert text.count(",CYCLES,BACKEND,SUB-EVENT,fc:OpId") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{x0} {x1}", "more files than the graph has inputs"),
        ("z:={x0}", "names z, which is not an input"),
        ("x:={x0} x:={x1}", "gives x twice"),
        ("\n\n", "lists no files"),
        ("{short}", "has 100 bytes; input x [8, 32] needs 1024 of float32"),
    ],
)
def test_a_list_that_does_not_fit_the_graph_is_refused(
    net_run: NetRun, context: Path, inputs: Any, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "short.raw").write_bytes(bytes(100))
    files = {name: tmp_path / f"{name}.raw" for name in ("x0", "x1", "short")}
    (tmp_path / "list.txt").write_text(text.format(**files))
    done = net_run("--retrieve_context", context, "--input_list", tmp_path / "list.txt")
    assert done.returncode == INPUT
    assert words in done.stderr


def test_a_missing_input_is_named(net_run: NetRun, context: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("/nowhere/x.raw\n")
    done = net_run("--retrieve_context", context, "--input_list", tmp_path / "list.txt")
    assert done.returncode == FILE
    assert "/nowhere/x.raw: No such file" in done.stderr


def test_a_context_for_another_soc_is_refused(
    net_run: NetRun, context: Path, config: Any, inputs: Any
) -> None:
    other = config(devices=[{"soc_model": 52}])
    done = net_run("--retrieve_context", context, "--input_list", inputs[0], "--config_file", other)
    assert done.returncode == TARGET
    assert "made for SoC 77, the configuration is for 52" in done.stderr


def test_model_and_context_exclude_each_other(net_run: NetRun, context: Path, model: Path) -> None:
    done = net_run("--retrieve_context", context, "--model", model, "--input_list", "x")
    assert done.returncode == USAGE
    assert "exclude each other" in done.stderr


def test_any_damage_to_a_context_is_found_by_its_digest(
    net_run: NetRun, context: Path, inputs: Any
) -> None:
    data = bytearray(context.read_bytes())
    data[41639] ^= 1  # a weight: no reader would notice
    context.write_bytes(data)
    done = net_run("--retrieve_context", context, "--input_list", inputs[0])
    assert done.returncode == CONTEXT
    assert "is damaged: its bytes are not those" in done.stderr


def test_damage_without_a_digest_is_answered_in_words(
    net_run: NetRun, run: Run, context: Path, inputs: Any, tmp_path: Path
) -> None:
    whole = context.read_bytes()
    dice = random.Random(0)
    broken = tmp_path / "broken.bin"
    for turn in range(24):
        data = bytearray(whole)
        if turn % 2:
            data = data[: dice.randrange(len(data))]
        else:
            data[dice.randrange(4096)] ^= 1 << dice.randrange(8)  # the description
        broken.write_bytes(data)
        done = run("qnn-context-binary-utility", "--context_binary", broken,
                   "--json_file", tmp_path / "b.json")  # fmt: skip
        answers = [done, net_run("--retrieve_context", broken, "--input_list", inputs[0])]
        if turn % 2:
            assert {answer.returncode for answer in answers} == {CONTEXT}
        # A bit may mean nothing; but no signal ends a program, and no failure is without words.
        assert all(answer.returncode == 0 or answer.stderr for answer in answers)
        assert {answer.returncode for answer in answers} <= {0, *range(USAGE, INTERNAL + 1)}


def test_a_crash_of_the_reader_is_the_refusal_of_the_file(
    net_run: NetRun, run: Run, context: Path, inputs: Any, tmp_path: Path
) -> None:
    """libQnnSystem.so believes damaged offsets: what it then reads is nobody's memory."""
    broken, sample = tmp_path / "broken.bin", inputs[0].parent / "x0.raw"
    output = ("--json_file", tmp_path / "b.json")
    for seed in range(40):
        broken.write_bytes(led_astray(context.read_bytes(), seed))
        done = run("qnn-context-binary-utility", "--context_binary", broken, *output)
        assert done.returncode in {0, CONTEXT}, (seed, done.stderr)
        if "crashed" in done.stderr:
            break
    words = ("--context", broken, "--input", sample, "--output", tmp_path / "y.raw")
    answers = [done, run("dinov3-run", *words)]
    answers += [net_run("--retrieve_context", broken, "--input_list", inputs[0])]
    assert [answer.returncode for answer in answers] == [CONTEXT] * 3
    for answer in answers:
        (line,) = answer.stderr.splitlines()
        assert line.endswith(
            f": {broken} is damaged, or not what it should be: the library that reads it crashed."
        )


def led_astray(whole: bytes, seed: int) -> bytes:
    """Return a context with an offset somewhere in its description that leads far past its end."""
    dice = random.Random(seed)
    data = bytearray(whole)
    place = dice.randrange(0x38, 2048, 4)
    data[place : place + 4] = dice.randrange(len(whole), 1 << 32).to_bytes(4, "little")
    return bytes(data)


def test_the_utility_describes_a_context(run: Run, context: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.json"
    done = run("qnn-context-binary-utility", "--context_binary", context, "--json_file", out)
    assert done.returncode == 0, done.stderr
    info = json.loads(out.read_text())["info"]
    assert info["buildId"].startswith("v2.")
    assert (info["socModel"], info["dspArch"], info["numGraphs"]) == (77, 73, 1)
    graph = info["graphs"][0]["info"]
    assert graph["graphName"] == "tiny_fc"
    assert graph["graphBlobInfo"]["vtcmSize"] == 8 << 20
    tensor = graph["graphOutputs"][0]["info"]
    assert (tensor["name"], tensor["dimensions"]) == ("y", [16, 8])
    assert tensor["dataType"] == "QNN_DATATYPE_FLOAT_32"
    assert tensor["quantizeParams"]["definition"] == "QNN_DEFINITION_UNDEFINED"
