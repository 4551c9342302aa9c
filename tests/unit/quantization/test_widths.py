import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import encodings as grids
from openqnn.quantization import qdq, recipe, sharing
from openqnn.quantization.encodings import Encodings
from scripts import artefacts, catalog, metrics
from scripts.errors import UsageError
from scripts.htp import simulation
from scripts.quantization import calibration, choice, widths
from scripts.quantization.jury import Verdict
from scripts.quantization.pins import Pins
from scripts.quantization.search import Group, Search, tensors
from scripts.stages import quantize
from tests.networks import observing, outliers, vit
from tests.unit.quantization.test_equalise import _features, _pictures

INT8 = catalog.precisions()["int8"]
# Seeds of networks, of two and of four layers, to which 8 bits do as little in every picture.
EASY, EASY_AND_DEEP = 6, 9
RESIDUAL = {"Add to Add and Norm", "Add to Norm"}


def _int8(folder: Path, network: Path, pins: Path | None = None) -> tuple[Path, Encodings]:
    return _quantised(folder, network, "int8", widths=pins)


def _quantised(
    folder: Path, network: Path, precision: str, **options: object
) -> tuple[Path, Encodings]:
    others = {"widths": None, **options}
    quantize.main(
        Namespace(
            model="digits",
            precision=precision,
            onnx=network,
            calibration=folder / "calibration",
            method="min-max",
            equalise=True,
            encodings=None,
            target="iq9075",
            out=folder,
            **others,
        )
    )
    encodings = folder / artefacts.encodings("digits", precision)
    made = folder / f"{precision}.onnx"
    qdq.insert(folder / artefacts.quantized_onnx("digits", precision), encodings, made)
    return made, Encodings.load(encodings)


@pytest.mark.parametrize("form", vit.FORMS)
def test_a_massive_residual_gets_16_bits_and_little_else_does(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "MARGIN", 0.3)
    _pictures(tmp_path / "calibration", 10, seed=1)
    held_out = _pictures(tmp_path / "heldout", 8, seed=2)
    network = outliers.write_massive(vit.write(tmp_path, form=form), tmp_path / "massive.onnx")
    made, encodings = _int8(tmp_path, network)
    cosines = metrics.cosine(_features(network, held_out), _features(made, held_out))
    assert cosines[:, 0].mean() > 0.99
    wide = {name for name, one in encodings.activations.items() if one.bits == widths.WIDE}
    kinds = widths.kinds(Network.load(network))
    assert any(wide.intersection(kinds[name]) for name in RESIDUAL)
    named = json.loads((tmp_path / artefacts.widths("digits", "int8")).read_text())["16"]
    assert RESIDUAL.intersection(named)
    assert wide.issuperset(tensor for tensors in named.values() for tensor in tensors)
    assert len(wide) < len(encodings.activations) / 2


def test_an_easy_network_stays_at_8_bits_where_16_cost_anything(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    path = vit.write(tmp_path, seed=EASY)
    _, encodings = _int8(tmp_path, path)
    network = Network.load(path)
    report = json.loads((tmp_path / artefacts.widths("digits", "int8")).read_text())
    assert report["why"]["reason"] == "activations at 8 bits are enough"
    assert not report["16"]  # in the invented time, 16 bits make nothing faster
    assert {one.bits for one in encodings.activations.values()} == {8}
    assert set(report["8"]) == set(widths.kinds(network))


def test_few_pictures_that_lose_much_have_what_they_need_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of this network's pictures have a weak CLS; the two that are unseen do not."""
    files = _pictures(tmp_path / "calibration", 10, seed=1)
    files += _pictures(tmp_path / "heldout", 64, seed=2)
    network = vit.write(tmp_path, layers=4, seed=1)
    exact = _features(network, files)
    made, _ = _int8(tmp_path, network)
    why = json.loads((tmp_path / artefacts.widths("digits", "int8")).read_text())["why"]
    assert why["with_fewest_16_bits"] >= why["wanted"] > 0.993  # the unseen ones
    frail = why["frail"]
    assert frail["with_fewest_16_bits"] < frail["wanted"] <= frail["reached"]
    figures = metrics.figures(exact, _features(made, files), vit.PATCHES)
    assert all(figures[name] >= bound for name, bound in INT8.gate.items())
    _with_typical_pictures_alone(monkeypatch)
    made, encodings = _int8(tmp_path, network)
    assert {encoding.bits for encoding in encodings.activations.values()} == {8}
    figures = metrics.figures(exact, _features(made, files), vit.PATCHES)
    assert figures["cls_mean"] >= INT8.gate["cls_mean"]
    assert figures["cls_p1"] < INT8.gate["cls_p1"]


def _with_typical_pictures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    every = calibration.juries
    monkeypatch.setattr(calibration, "juries", lambda *several: every(*several)[:1])


def test_where_weights_lose_too_much_activations_do_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    monkeypatch.setattr(choice, "MARGIN", 1e-6)
    _, encodings = _int8(tmp_path, vit.write(tmp_path))
    assert "with these integer weights it cannot be better" in capsys.readouterr().out
    why = json.loads((tmp_path / artefacts.widths("digits", "int8")).read_text())["why"]
    assert why["reached"] > 0.99
    assert why["wanted"] < 1 - 1e-6
    wide = [one for one in encodings.activations.values() if one.bits == widths.WIDE]
    assert len(wide) < len(encodings.activations) / 2


def test_what_reads_a_raised_tensor_works_at_16_bits(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path, layers=1))
    source = sharing.quantized_as(network)
    narrow = grids.asymmetric(-1, 1, 8)
    made = Encodings(dict.fromkeys(source, narrow), {})
    norm = next(node for node in network.graph.node if node.op_type == "LayerNormalization")
    constants = recipe.param_encodings(network, 8)
    raised = widths.raised(network, Encodings(made.activations, constants), [norm.input[0]])
    assert raised.activations[norm.input[0]].bits == 16
    assert raised.activations[norm.output[0]].bits == 16
    assert raised.params[norm.input[1]].bits == recipe.GAIN_BITS
    after = next(node for node in network.graph.node if norm.output[0] in node.input)
    assert raised.activations[after.output[0]].bits == 8


def test_kinds_see_through_movers(tmp_path: Path) -> None:
    kinds = widths.kinds(Network.load(vit.write(tmp_path)))
    assert "Softmax to MatMul" in kinds
    assert "MatMul to MatMul" in kinds  # attention's output, transposed and reshaped
    assert not any("Reshape" in kind or "Transpose" in kind for kind in kinds)
    every = [name for names in kinds.values() for name in names]
    assert len(every) == len(set(every))


def test_pinned_widths_hold_and_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    path = vit.write(tmp_path, seed=EASY)
    file = tmp_path / "pins.json"
    file.write_text('{"16": {"Sigmoid to Mul": "all"}, "8": {"Add to Add and Norm": "all"}}')
    _, encodings = _int8(tmp_path, path, pins=file)
    kinds = widths.kinds(Network.load(path))
    assert {encodings.activations[name].bits for name in kinds["Sigmoid to Mul"]} == {16}
    assert {encodings.activations[name].bits for name in kinds["Add to Add and Norm"]} == {8}
    why = json.loads((tmp_path / artefacts.widths("digits", "int8")).read_text())["why"]
    counts = [len(kinds[kind]) for kind in ("Sigmoid to Mul", "Add to Add and Norm")]
    assert why["reason"] == (
        f"a file of --widths pins {counts[0]} tensors of Sigmoid to Mul to 16 bits "
        f"and {counts[1]} tensors of Add to Add and Norm to 8 bits; the search "
        "raised nothing more to 16: activations at 8 bits (16 where pinned) are enough"
    )
    assert why["reason"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "tensors", "problem", "remedy"),
    [
        ("Tan to Add", "all", "names 'Tan to Add', which this", "of its kinds: "),
        (
            "Softmax to Add",
            "probability",
            "names 'Softmax to Add', which this",
            "its tensors are of the kind 'Softmax to MatMul'; one of",
        ),
        ("Sigmoid to Mul", ["Sigmid_0"], "names 'Sigmid_0', which this", "of 'Sigmoid to Mul': "),
        ("Sigmoid to Mul", ["x" * 100_000], f"names '{'x' * 80}...', which", "of 'Sigmoid to Mul'"),
        (
            "Sigmoid to Mul",
            "like a probability",
            "which this network does not have",
            "under 'Softmax to MatMul' is the nearest; one of its tensors of 'Sigmoid to Mul': ",
        ),
        (
            "Sigmoid to Mul",
            "probability",
            "under 'Sigmoid to Mul': it is of",
            "'Softmax to MatMul'",
        ),
        ("Softmax to MatMul", "moved", "only moves the values of", "name '"),
    ],
)
def test_a_pinned_name_that_does_not_fit_is_refused_with_one_that_does(
    tmp_path: Path, kind: str, tensors: list[str] | str, problem: str, remedy: str
) -> None:
    network = Network.load(vit.write(tmp_path))
    source = sharing.quantized_as(network)
    examples = {
        "probability": widths.kinds(network)["Softmax to MatMul"][:1],
        "like a probability": [f"{widths.kinds(network)['Softmax to MatMul'][0]}_"],
        "moved": [next(name for name in source if source[name] != name)],
    }
    named = examples.get(str(tensors), tensors)
    file = tmp_path / "pins.json"
    file.write_text(json.dumps({"16": {kind: named}}))
    with pytest.raises(UsageError) as refusal:
        Pins.load(file, network)
    assert problem in refusal.value.what
    assert remedy in refusal.value.remedy


def test_a_report_of_widths_pins_the_same_widths(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    network = outliers.write_massive(vit.write(tmp_path), tmp_path / "massive.onnx")
    _, first = _int8(tmp_path, network)
    report = tmp_path / artefacts.widths("digits", "int8")
    pins = report.rename(tmp_path / "pins.json")
    _, second = _int8(tmp_path, network, pins=pins)
    assert second == first
    why = json.loads(report.read_text())["why"]
    assert why["form"] == json.loads(pins.read_text())["why"]["form"] | {"what": "the choice"}


def test_a_reason_counts_what_is_pinned_once(tmp_path: Path) -> None:
    network = Network.load(vit.write(tmp_path))
    kinds = widths.kinds(network)
    softmax, gates = kinds["Softmax to MatMul"], kinds["Sigmoid to Mul"]
    trial: Any = Invented()
    for wide, words in (
        (softmax[:1], "pins 1 tensor of Softmax to MatMul to 16 bits;"),
        (softmax[:2], "pins 2 tensors of Softmax to MatMul to 16 bits;"),
        ([softmax[0], gates[0]], "pins 2 tensors (1 of "),
    ):
        search = Search(network, trial, [], Pins(wide=frozenset(wide)))
        assert words in search.explained("any", wide)


def _searched(folder: Path, network: Path, seed: int) -> Search:
    """Return a search of a network with 8 bits, nothing of it raised."""
    pictures = _pictures(folder / "calibration", 3, seed=seed)
    target = folder / "narrow.onnx"
    source = calibration.Source(network, pictures, (), "min-max", equal=True)
    encodings = source.encoded(INT8, target)
    found = Network.load(target)
    unseen = observing.unseen(found, _pictures(folder / "unseen", 1, seed=seed + 1))
    (folder / "scratch").mkdir()
    juries = calibration.juries(unseen, unseen, INT8)[:1]
    return calibration.search(found, encodings, juries, folder / "scratch")


def test_attention_over_many_tokens_gets_16_bits_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over 1029 tokens a probability is less than a step of 8 bits."""
    for name, value in {"SIZE": 256, "PATCHES": 1024, "TOKENS": 1029}.items():
        monkeypatch.setattr(vit, name, value)
    search = _searched(tmp_path, vit.write(tmp_path), seed=1)
    softmax = tensors(kind for kind in search.kinds if widths.of_softmax(kind.name))
    # The losses of single groups would take a run of the network for every kind.
    monkeypatch.setattr(Search, "groups", lambda *_: pytest.fail("groups were measured"))
    found = search.run(0.99, 0.98)
    assert found.cosines["unseen"]["with_fewest_16_bits"] < 0.99
    assert found.wide == softmax
    assert found.cosines["unseen"]["reached"] >= 0.99


class Invented:
    """A trial that runs nothing: what goes to a jury are the tensors at 16 bits themselves."""

    def __call__(self, wide: frozenset[str], _: object) -> frozenset[str]:
        return wide

    def losses(self, kinds: dict[str, str], _: object) -> dict[tuple[str, ...], float]:
        return {(name,): 1.0 for name in kinds}


def _jury(name: str, loss: Callable[[frozenset[str]], float]) -> Any:
    jury = Mock(pictures=[], cosine=lambda loss: 1 - loss)
    jury.name = name
    jury.verdict.side_effect = lambda wide: Verdict(loss(wide), (0,))
    jury.few.return_value = jury
    return jury


def test_pictures_that_are_asked_late_are_not_promised_what_weights_do_not_allow(
    tmp_path: Path,
) -> None:
    """With the stream at 16 bits all is within the gate; all at 16 bits gains next to nothing."""
    network = Network.load(vit.write(tmp_path))
    every = widths.kinds(network)
    stream = {name for kind in filter(widths.of_stream, every) for name in every[kind]}
    most = {name for names in every.values() for name in names}

    def of_unseen(wide: frozenset[str]) -> float:
        return 0.0055 if wide >= most else 0.0065 if wide >= stream else 0.02

    def of_frail(wide: frozenset[str]) -> float:
        return 0.001 if wide >= stream else 0.03

    trial: Any = Invented()
    juries = [_jury("unseen", of_unseen), _jury("frail", of_frail)]
    found = Search(network, trial, juries).run(0.994, 0.99)
    assert found.wide == stream
    assert found.cosines["unseen"] == pytest.approx(
        {"wanted": 0.992, "reached": 0.9935}
        | {"with_fewest_16_bits": 0.98, "with_most_16_bits": 0.9945}
    )


@pytest.mark.parametrize("needed", [1, 77, 128])
def test_the_groups_that_are_needed_are_found_in_few_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: int
) -> None:
    search = _searched(tmp_path, vit.write(tmp_path), seed=1)
    groups = [Group("kind", (f"tensor{index}",), 1.0, 1.0) for index in range(128)]
    trials: list[int] = []

    def loss(_: Search, wide: set[str]) -> float:
        trials.append(len(wide))
        return float(len(wide) < needed)

    monkeypatch.setattr(Search, "groups", lambda *_: groups)
    monkeypatch.setattr(Search, "loss", loss)
    enough = search._enough(search.kinds, 0.5)
    assert needed <= len(enough) <= needed * 8 / 7
    assert len(trials) <= 9  # the first is without any group


def test_losses_of_one_pass_put_a_massive_stream_first(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    path = outliers.write_massive(vit.write(tmp_path), tmp_path / "massive.onnx")
    _, encodings = _int8(tmp_path, path)
    narrow = Encodings(
        widths.at(encodings.activations, encodings.activations, widths.NARROW), encodings.params
    )
    network = Network.load(tmp_path / artefacts.quantized_onnx("digits", "int8"))
    unseen = observing.unseen(network, _pictures(tmp_path / "unseen", 2, seed=3))
    (tmp_path / "scratch").mkdir()
    juries = calibration.juries(unseen, unseen, INT8)[:1]
    search = calibration.search(network, narrow, juries, tmp_path / "scratch")
    groups = search.groups()
    every = [name for group in groups for name in group.tensors]
    assert sorted(every) == sorted(search.most)
    worst = max(groups, key=lambda group: group.loss)
    assert widths.of_stream(worst.kind)
    rest = max(groups, key=lambda group: 0 if widths.of_stream(group.kind) else group.loss)
    # What one pass tells, trials of the whole network say as well.
    without = [search.loss(search.most.difference(one.tensors)) for one in (worst, rest)]
    assert without[0] > without[1]


@pytest.mark.parametrize(("faster", "weights"), [(0.5, {4, 8}), (1.0, {8})])
def test_a_budget_is_met_with_weights_of_4_bits_where_these_are_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: float, weights: set[int]
) -> None:
    """The network, its weights and its encodings are then those of the narrower precision."""
    plain = simulation.milliseconds

    def milliseconds(path: Path, encodings: Encodings, *others: Any) -> float:
        few = any(encoding.bits == 4 for encoding in encodings.params.values())
        return plain(path, encodings, *others) * (faster if few else 1.0)

    monkeypatch.setattr(simulation, "milliseconds", milliseconds)
    _pictures(tmp_path / "calibration", 10, seed=1)
    held_out = _pictures(tmp_path / "heldout", 8, seed=2)
    network = vit.write(tmp_path, layers=4, seed=EASY_AND_DEEP)
    made, encodings = _quantised(tmp_path, network, "mixed", min_cosine=0.9, max_ms=None)
    assert {encoding.bits for encoding in encodings.params.values()} - {32} == weights
    points = json.loads((tmp_path / artefacts.frontier("digits", "mixed")).read_text())
    assert {point["weights"] for point in points} == weights
    why = json.loads((tmp_path / artefacts.widths("digits", "mixed")).read_text())["why"]
    assert why["weights"] == min(weights)
    assert set(why["twins_by_weights"]) == {"4", "8"}
    # A network beside the other's weights or encodings would be far from this.
    cosines = metrics.cosine(_features(network, held_out), _features(made, held_out))
    assert cosines[:, 0].mean() > 0.95
