"""From the file of a sweep to its points, or a refusal that names the place in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.errors import PipelineError, UsageError
from scripts.pipeline import options, request
from scripts.pipeline.request import Request
from scripts.sweep import grid
from scripts.sweep.point import JOBS, OPTIONS, SHARED
from tests.unit.sweep.files import load

GRID = '[grid]\nprecision = ["int8", "fp16", "mixed"]\nmax_ms = [1, 0.5]\n'


def said(folder: Path, text: str) -> list[dict[str, str]]:
    points = load(folder, text).points
    return [{name: point.options[name] for name in point.said} for point in points]


def test_each_combination_is_a_point_and_none_is_there_twice(tmp_path: Path) -> None:
    """int8 and fp16 take no budget: with both budgets they are one point."""
    assert said(tmp_path, GRID) == [
        {"precision": "int8"},
        {"precision": "fp16"},
        {"precision": "mixed", "max_ms": "1.0"},
        {"precision": "mixed", "max_ms": "0.5"},
    ]


def test_the_order_of_keys_does_not_count(tmp_path: Path) -> None:
    first = load(tmp_path, '[grid]\nprecision = ["int8", "fp16"]\ninput = ["uint8", "float32"]\n')
    other = load(tmp_path, '[grid]\ninput = ["uint8", "float32"]\nprecision = ["int8", "fp16"]\n')
    assert first.points == other.points
    assert [point.name for point in first.points] == [point.name for point in other.points]


def test_the_same_value_in_other_words_is_the_same_point(tmp_path: Path) -> None:
    sweep = load(tmp_path, '[grid]\nmodel = "vits16"\nweights = "random"\nsize = [224, "224x224"]')
    assert len(sweep.points) == 1
    # So is what holds anyway.
    (point,) = load(tmp_path, '[grid]\nmodel = "vits16"\nweights = "random"\n').points
    assert point.name == sweep.points[0].name


def test_the_name_of_a_point_is_its_own_whatever_else_is_in_the_grid(tmp_path: Path) -> None:
    (alone,) = load(tmp_path, '[grid]\nprecision = "fp16"\n').points
    assert alone.name in [point.name for point in load(tmp_path, GRID).points]


def test_several_grids_are_the_points_of_each(tmp_path: Path) -> None:
    text = '[[grid]]\nprecision = "int8"\n[[grid]]\nprecision = ["int8", "fp16"]\ninput = "uint8"\n'
    assert said(tmp_path, text) == [
        {"precision": "int8"},
        {"precision": "int8", "input": "uint8"},
        {"precision": "fp16", "input": "uint8"},
    ]


def test_exclusions_and_defaults(tmp_path: Path) -> None:
    text = '[defaults]\nmethod = "mse"\ngate = false\n' + GRID
    text += '[[exclude]]\nprecision = ["mixed", "fp16"]\nmax-ms = 1\n'
    # The other budget's fp16 is the same point, and stays.
    assert said(tmp_path, text) == [
        {"method": "mse", "gate": "false", "precision": "int8"},
        {"gate": "false", "precision": "fp16"},
        {"method": "mse", "gate": "false", "precision": "mixed", "max_ms": "0.5"},
    ]


def test_the_command_of_a_point_is_that_point(tmp_path: Path) -> None:
    text = '[defaults]\ngate = false\n[grid]\noutputs = "cls,layers=0,1"\ninput = "uint8"\n'
    (point,) = load(tmp_path, text).points
    verb, *words = point.words()
    assert (verb, words[0]) == ("build", "--no-gate")
    texts = dict(word[2:].split("=", 1) for word in words if "=" in word)
    by_hand = request.make(gate=False, **{name.replace("-", "_"): v for name, v in texts.items()})
    assert by_hand == point.request


def test_bounds_are_those_of_the_file_and_the_budgets_of_points(tmp_path: Path) -> None:
    sweep = load(tmp_path, GRID + "[within]\nmax_ms = [3]\nmin_cosine = 0.99\n")
    assert sweep.within == {"max_ms": (0.5, 1.0, 3.0), "min_cosine": (0.99,)}


def test_every_option_of_a_build_is_a_name_or_is_said_on_the_command_line() -> None:
    assert {*OPTIONS, *SHARED, JOBS} == set(options.of(Request))
    assert set(grid.BOUNDS) < set(OPTIONS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[grid]\nprecison = "int8"', ["no grid.precison", "precision is the nearest"]),
        ('[grid]\nmodels = ["digits"]', ["no grid.models", "model is the nearest"]),
        ('[grid]\nprecision = "int9"', ["grid.precision: ", "'int9'", "int8 is the nearest"]),
        ('[grid]\nmodel = ["digit"]', ["grid.model: ", "'digit'", "digits is the nearest"]),
        ('[grid]\ninput = "int8"', ["grid.input: input int8", "one of: float32, uint8"]),
        ("[grid]\ninput = 8", ["grid.input: input 8"]),
        ("[grid]\nsize = [[224]]", ["grid.size is [224]", "text or a number"]),
        ("[grid]\nsize = true", ["grid.size is true", "text or a number"]),
        ("[grid]\nmax_ms = nan", ["grid.max_ms: max_ms nan"]),
        ('[grid]\ngate = "no"', ['grid.gate is "no"', "true or false"]),
        ("[grid]\nsize = []", ["grid.size has no value"]),
        ("[grid]\nbuild_dir = 'x'", ["no grid.build_dir"]),
        ("[gird]\nsize = 224", ["no gird", "grid is the nearest"]),
        ("grid = 3", ["grid is no table"]),
        ("[grid", ["mine.toml is no TOML: "]),
        ("[grid]\nsize = 1979-05-27", ['grid.size is "1979-05-27"', "text or a number"]),
        ("[grid]\nmax_ms = 1\nmax-ms = 2", ["grid.max_ms", "twice, as max_ms and max-ms"]),
        ("[within]\nmin-cosine = 0.9\nmin_cosine = 0.8", ["within.min_cosine", "twice"]),
        (
            '[defaults]\nprecision = "int8"\n[grid]\nprecision = ["fp16"]',
            ["defaults.precision stands in [grid] too"],
        ),
        (
            '[defaults]\nmax-ms = 1\n[[grid]]\ninput = "uint8"\n[[grid]]\nmax_ms = 2',
            ["defaults.max_ms stands in [grid] too"],
        ),
        ("[grid]\n[[exclude]]", ["exclude has nothing in it"]),
        ("[grid]\n[exclude]", ["exclude has nothing in it"]),
        ("[grid]\n[[grid]]\nsize = 224", ["[grid] and [[grid]]", "use [[grid]] for all"]),
        ("[grid]\n[[exclude]]\n[exclude]", ["[exclude] and [[exclude]]"]),
        ('[grid]\nprecision = "INT8"', ["grid.precision: ", "int8 is the nearest"]),
        ("[[defaults]]\n[[defaults]]", ["defaults stands there twice"]),
        ('[defaults]\nprecision = ["int8", "fp16"]', ["defaults.precision has several values"]),
        ("[within]\nmax_bytes = 3", ["no within.max_bytes", "one of: max_ms, min_cosine"]),
        ('[grid]\n[[exclude]]\nprecision = "fp16"', ["fp16 leaves nothing out", "has: int8"]),
        (
            '[grid]\nprecision = "int8"\n[[exclude]]\nprecision = "int8"',
            ["mine.toml has no points"],
        ),
        ("", ["mine.toml has no points"]),
        (f"[grid]\nsize = {list(range(101))}\nmax_ms = {list(range(1, 101))}", ["10100 points"]),
        (
            '[grid]\nprecision = "mixed"',
            ["precision = mixed: ", "needs a budget", ":  min_cosine 0.99"],
        ),
        (
            '[grid]\nmodel = "vits16"\nweights = "random"\nsize = [224, 230]',
            [
                "model = vits16, weights = random, size = 230: ",
                "what to do:  size 224 is the nearest",
            ],
        ),
        (
            '[grid]\nmodel = "vits16"',
            ["facebook/dinov3-vits16", "on the hub", "`invoke fetch --weights hf://"],
        ),
        ('[grid]\nweights = "/nowhere"', ["grid.weights: There are no weights at /nowhere"]),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    with pytest.raises(PipelineError) as refused:
        load(tmp_path, text)
    assert str(tmp_path / "mine.toml") in refused.value.what
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_weights_of_the_hub_are_refused_with_the_folder_that_fetch_brings_them_to(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError) as refused:
        load(tmp_path, '[grid]\nweights = "hf://me/mine@v2"')
    build = tmp_path / "build"
    command = f"`invoke fetch --weights hf://me/mine@v2 --build-dir {build}`"
    folder = build / "hub" / "me--mine@v2" / "weights"
    assert refused.value.remedy == f'{command}, then weights = "{folder}"'


def test_messages_have_the_names_of_the_file_except_in_commands(tmp_path: Path) -> None:
    text = "choose --min-cosine, or --cache; `invoke fetch --weights a` to a--precision/--model"
    assert grid._in_file(text) == text.replace("--min-cosine", "min_cosine")
    with pytest.raises(UsageError) as refused:
        load(tmp_path, '[grid]\nprecision = "mixed"')
    assert "min_cosine 0.995 " in refused.value.remedy and "max_ms 25 " in refused.value.remedy


def test_a_network_that_no_board_can_hold_is_refused_before_any_work(tmp_path: Path) -> None:
    text = '[grid]\nmodel = "vith16plus"\nweights = "random"\nprecision = ["int8", "fp16"]\n'
    with pytest.raises(UsageError, match=r"target = .*cannot compute fp16"):
        load(tmp_path, text + f'target = "{_lacks_fp16()}"')


def _lacks_fp16() -> str:
    from scripts import catalog

    return next(name for name, target in catalog.targets().items() if "fp16" in target.lacks)


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_what_is_no_file_of_a_sweep(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "mine.toml"
    if kind == "folder":
        file.mkdir()
    elif kind == "binary":
        file.write_bytes(b"\xff\xfe[grid]")
    with pytest.raises(UsageError, match=r"mine\.toml (cannot be read|is no TOML)"):
        grid.load(file, {})
