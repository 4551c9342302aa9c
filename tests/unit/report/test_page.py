"""The page of a build: whole in one file, the same bytes, and nothing of a file's is markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from scripts import artefacts
from scripts.report import comparison, files, judged, page, reading
from scripts.report.record import Artefact, Layer, Run, Stage, Verdict
from tests import reports

RUN = Run(
    (Stage("export", 17.5, 529_600_000, ran=True), Stage("lower-int8", 1.2, 54_100_000, ran=False)),
    Artefact("packages/dinov3_digits_int8_iq9075.tar.gz", 10_862_694, 64 * "a"),
)


class Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def record(text: str) -> dict[str, object]:
    match = re.search(r'<script type="application/json" id="record">(.*?)</script>', text)
    assert match
    document: dict[str, object] = json.loads(match[1])
    return document


@pytest.mark.parametrize("precision", ["int8", "w8a16", "fp16", "mixed"])
def test_every_precision_has_its_page(tmp_path: Path, precision: str) -> None:
    text = reports.html(reports.build(tmp_path, precision), precision)
    ids = {attributes.get("id") for _, attributes in Page(text).elements}
    assert {"verdict", "features", "faithfulness", "ranges", "time", "build"} <= ids
    assert ("frontier" in ids) == (precision == "mixed")
    judges = "on calibration&#39;s own pictures and others against simulated"
    assert (judges in text) == (precision == "mixed")
    assert ("squares: 4-bit weights" in text) == (precision == "mixed")
    assert ("mixed: 4-bit weights" in text) == (precision == "mixed")


def test_ranges_of_a_file_are_said_to_be_its_own(tmp_path: Path) -> None:
    build, sha256 = reports.build(tmp_path), 64 * "e"
    material = {"name": "encodings", "digest": {"sha256": sha256}}
    host = {**reports.HOST, "materials": [material]}
    widths = build / files.paths(reports.names("int8"))["widths"]
    reason = "the file of --encodings says so"
    widths.write_text(json.dumps({"why": {"reason": reason}, "16": {}, "8": {}}))
    text = page.html(reading.read(build, reports.names("int8"), host))
    facts, calibration = text.partition("<nav")[0], text.partition('<section id="calibration">')[2]
    assert f"from --encodings, SHA-256 {sha256}" in facts
    assert "The ranges are not of these pictures" in calibration
    assert "nothing was calibrated, equalised or chosen here" in text
    assert reason in text and "<th>tried</th>" not in text


def test_a_build_of_its_own_ranges_says_nothing_of_a_file(tmp_path: Path) -> None:
    text = reports.html(reports.build(tmp_path))
    assert "--encodings" not in text and "<th>tried</th>" in text


def test_pictures_that_lose_the_most_stand_by_cls_and_by_patches(tmp_path: Path) -> None:
    text = reports.html(reports.build(tmp_path))
    assert "The 5 pictures whose CLS loses the most" in text
    assert "pictures whose patches lose the most" in text
    text = reports.html(reports.build(tmp_path / "patches", output="patches"))
    assert text.count("lose the most") == 1


def test_the_page_links_to_nothing_but_itself(tmp_path: Path) -> None:
    """It stands in a build's folder and in a package: what is beside it differs."""
    elements = Page(reports.html(reports.build(tmp_path))).elements
    links = [str(attributes["href"]) for _, attributes in elements if "href" in attributes]
    assert links and all(link.startswith(("#", "data:")) for link in links)


def test_the_widest_activation_of_either_network_is_said_to_be_its(tmp_path: Path) -> None:
    build = reports.build(tmp_path)
    verify = build / files.paths(reports.names())["verify"]
    activation = {"tensor": "layer.1.attention.MatMul", "magnitude": 60.77, "beyond_float16": 0}
    report = json.loads(verify.read_text()) | {"widest_activation": activation}
    verify.write_text(json.dumps(report))
    text = reports.html(build)
    assert "in the exported network, on held-out pictures, the widest is" in text
    assert "layer.1.attention.MatMul, 60.77" in text


@pytest.mark.parametrize(("output", "noun"), [("head", "CLS"), ("patches", "patches")])
def test_a_network_without_patches_or_without_cls_has_its_page(
    tmp_path: Path, output: str, noun: str
) -> None:
    text = reports.html(reports.build(tmp_path, output=output))
    ids = {attributes.get("id") for _, attributes in Page(text).elements}
    assert ("features" in ids) == (noun == "patches")
    assert f"{noun}: " in text
    assert text.count("cosines with float32; each step") == 1
    assert f"<br>{noun} 0.9" in text


def test_the_timeline_is_shown_where_the_compiler_gave_one(tmp_path: Path) -> None:
    build = reports.build(tmp_path)
    text = reports.html(build)
    bars = re.findall(
        r">(\w+ \d|idle|Kind&lt;\d+&gt;|all others)</text><text[^>]*>([\d.]+) µs", text
    )
    layers, kinds = bars[:3], bars[3:]
    assert [name for name, _ in layers] == ["layer 0", "layer 1", "idle"]
    assert len(kinds) == 12 + 2
    for rows in (layers, kinds):
        assert sum(float(time) for _, time in rows) == pytest.approx(112, rel=0.01)
    assert "HMX, the matrix unit</text>" in text
    assert "<code>layer.1.a&lt;b&gt;</code>" in text
    path = build / artefacts.profile_report("int8")
    profile = json.loads(path.read_text())
    del profile["timeline"]
    path.write_text(json.dumps(profile))
    assert "Where it goes" not in reports.html(build)


def test_figures_of_one_thing_agree(tmp_path: Path) -> None:
    """The simulated time is the compiler's everywhere; the bits are those that activations have."""
    build = reports.build(tmp_path)
    path = build / artefacts.profile_report("int8")
    path.write_text(json.dumps({**json.loads(path.read_text()), "milliseconds": 0.109}))
    assert "0.109 ms" in reports.html(build)
    assert "int8: 8-bit weights, 8 and 16-bit activations" in reports.html(build)
    path = build / files.paths(reports.names())["encodings"]
    entries = json.loads(path.read_text())["activation_encodings"]
    narrow = {name: [{**rows[0], "bitwidth": 8}] for name, rows in entries.items()}
    path.write_text(json.dumps({"activation_encodings": narrow}))
    assert "int8: 8-bit weights, 8-bit activations" in reports.html(build)


def test_the_same_build_gives_the_same_bytes(tmp_path: Path) -> None:
    first, other = reports.build(tmp_path / "one"), reports.build(tmp_path / "other")
    assert reports.html(first) == reports.html(other)
    assert str(tmp_path) not in reports.html(first)


def test_last_digits_of_float32_do_not_reach_the_page(tmp_path: Path) -> None:
    """Processors disagree in them; the page is held to its bytes."""
    build = reports.build(tmp_path)
    expected = reports.html(build)
    path = build / artefacts.features("int8")
    features = dict(np.load(path))
    wobble = np.random.default_rng(2).uniform(-1e-7, 1e-7, features["reference"].shape)
    features["reference"] = (features["reference"] * (1 + wobble)).astype(np.float32)
    assert (features["reference"] != np.load(path)["reference"]).any()
    np.savez(path, **features)
    assert reports.html(build) == expected


def test_nothing_is_asked_for_and_nothing_runs(tmp_path: Path) -> None:
    text = reports.html(reports.build(tmp_path), run=RUN)
    for tag, attributes in Page(text).elements:
        assert tag not in ("iframe", "object", "embed", "base")
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert attributes["type"] == "application/json"
        if tag in ("img", "link"):
            assert str(attributes.get("src") or attributes.get("href")).startswith("data:")
    assert "url(" not in text and "@import" not in text


def test_what_a_file_is_called_is_no_markup(tmp_path: Path) -> None:
    text = reports.html(reports.build(tmp_path))
    assert "<0>.png" not in text
    assert "0/&lt;0&gt;.png" in text
    assert "Do &lt;less&gt;." in text
    assert record(text)["rewrites"] == {"rms-norms": 8}


def test_only_the_page_of_the_run_tells_what_a_clock_measured(tmp_path: Path) -> None:
    build = reports.build(tmp_path)
    packed, here = reports.html(build), reports.html(build, run=RUN)
    assert "529.6 MB" in here and "529.6 MB" not in packed
    assert RUN.archive and RUN.archive.sha256 in here and RUN.archive.sha256 not in packed
    assert "<code>sbom.cdx.json</code>" in packed and "<code>sbom.cdx.json</code>" not in here


def test_a_missed_gate_stands_first_and_names_the_figure(tmp_path: Path) -> None:
    good = reports.html(reports.build(tmp_path / "good", noise=0.01))
    bad = reports.html(reports.build(tmp_path / "bad", noise=1.0))
    assert "Passes its gate" in good and record(good)["missed"] == []
    assert "Misses its gate; built all the same, with --no-gate" in bad
    assert record(bad)["missed"] == ["cls_mean", "cls_p1", "patch_mean"]


def test_engines_that_disagree_are_no_pass(tmp_path: Path) -> None:
    build = reports.build(tmp_path)
    path = build / artefacts.verify_report("int8")
    document = json.loads(path.read_text())
    figures = {"cls_mean": 0.5}
    engines = {"last_hidden_state": {"figures": figures, "at_least": {"cls_mean": 0.99}}}
    path.write_text(json.dumps({**document, "engines": engines}))
    text = reports.html(build)
    assert "Misses its gate" in text and "further apart than rounding" in text
    assert record(text)["missed"] == ["simulator against CPU, last hidden state, cls mean"]


def test_what_was_measured_before_a_refusal_counts_first(tmp_path: Path) -> None:
    build, measured = tmp_path / "build", tmp_path / "build" / "failed" / "verify-int8"
    reports.build(build, noise=0.01)
    reports.build(tmp_path / "bad", noise=1.0)
    for path in (artefacts.verify_report("int8"), artefacts.features("int8")):
        (measured / path).parent.mkdir(parents=True)
        (tmp_path / "bad" / path).rename(measured / path)
        (build / path).unlink()
    report = reading.read(build, reports.names(), reports.HOST, measured=measured)
    assert report.verdict.missed == ["cls_mean", "cls_p1", "patch_mean"]


def test_random_weights_are_said_to_be_random(tmp_path: Path) -> None:
    build = reports.build(tmp_path)
    path = build / "models/dinov3_digits_eager.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "synthetic": "random:0"}))
    assert "The weights are random numbers." in reports.html(build)


def stream(*decibels: float) -> list[Layer]:
    return [Layer(f"layer.{i}.Add", snr, 0.99) for i, snr in enumerate(decibels)]


def judgement(cosine: float) -> Verdict:
    figures = {"cls_mean": cosine, "snr_db": 13.0}
    return Verdict(figures, {"cls_mean": 0.99}, True, "", {}, {})


@pytest.mark.parametrize(
    ("cosine", "decibels", "says"),
    [
        (0.02, (), "another input than float32"),
        (0.97, (38, 36, 14, 13), "loses 22 dB at layer.2.Add"),
        (0.97, (22, 19, 17, 15), "No layer stands out"),
        (0.999, (18, 16, 14), ""),
    ],
)
def test_the_page_says_what_the_figures_look_like(
    cosine: float, decibels: tuple[float, ...], says: str
) -> None:
    finding = judged.finding(judgement(cosine), stream(*decibels), ())
    assert says in finding
    assert bool(finding) == bool(says)


def finding_of(build: Path, **changed: object) -> str:
    """What the page says of a build whose `verify.json` is changed."""
    path = build / artefacts.verify_report("int8")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    report = reading.read(build, reports.names(), reports.HOST)
    text = judged.finding(report.verdict, report.layers, report.samples, report.calibration)
    assert not text or str(Markup.escape(text)) in reports.html(build)
    return text


def rows(**decibels: float) -> list[dict[str, object]]:
    return [{"tensor": name, "snr_db": snr, "cosine_mean": 1.0} for name, snr in decibels.items()]


def test_what_is_left_is_compared_on_the_pictures_of_the_stream(tmp_path: Path) -> None:
    """The samples have 40 dB; the figure over all pictures is another one, and accuses nobody."""
    build = reports.build(tmp_path, noise=0.01)
    others = {"cls_mean": 0.9999, "cls_p1": 0.9999, "patch_mean": 0.9999, "snr_db": 37.0}
    right = finding_of(build, figures=others, layers=rows(add=42.0, last_hidden_state=41.0))
    wrong = finding_of(build, figures=others, layers=rows(add=46.0, last_hidden_state=44.0))
    assert right == ""
    assert "leaves 44 dB of signal to noise, but only 40 dB are left" in wrong


def test_ranges_that_clip_are_told_from_another_input(tmp_path: Path) -> None:
    """Simulator and CPU agree, and the CPU is far from float32: the pictures say why."""
    build = reports.build(tmp_path)
    far = {
        "figures": {"cls_mean": 0.36, "cls_p1": -0.1, "patch_mean": 0.32, "snr_db": -1.5},
        "layers": rows(add=0.8, add_2=0.6),
    }
    assert "Look at its ranges" in finding_of(build, **far)
    narrow = np.full((reports.SIDE, reports.SIDE, 3), 120, np.uint8)
    folder = build / files.paths(reports.names("int8"))["calibration"]
    for path in folder.glob("*.rgb"):
        path.write_bytes(narrow.tobytes())
    text = finding_of(build, **far)
    assert "ranges clip: pixels of the calibration pictures are 120 to 120" in text
    assert "0 to 255 of 255" in text
    assert "another input" in finding_of(
        build, figures=far["figures"], layers=rows(add=30.0, add_2=29.0)
    )
    assert "by the calibration pictures alone: " in reports.html(build)


def test_a_bound_that_every_cosine_keeps_is_none(tmp_path: Path) -> None:
    build = reports.build(tmp_path)
    own = {"figures": {"cls_mean": 0.9973}, "at_least": {"cls_mean": -1.588}}
    finding_of(build, engines={"last_hidden_state": own})
    report = reading.read(build, reports.names(), reports.HOST)
    (text,) = [text for name, text in report.verdict.measures.items() if "simulator" in name]
    assert text == "0.99730 (no bound: both are far from float32)"


def test_outputs_side_by_side_are_no_steps_of_the_stream(tmp_path: Path) -> None:
    build = reports.build(tmp_path, noise=0.01)
    layers = rows(add=29.0, cls=33.0, patches=26.0, head=48.0)
    outputs: dict[str, object] = {name: {} for name in ("cls", "patches", "head")}
    assert finding_of(build, outputs=outputs, layers=layers) == ""
    assert "loses 9 dB at add_2" in finding_of(build, layers=rows(add=38.0, add_2=29.0, cls=33.0))


def test_the_residual_stream_is_drawn_where_it_was_compared(tmp_path: Path) -> None:
    text = reports.html(reports.build(tmp_path))
    assert "steepest: -2.5 dB" in text
    assert "6 held-out pictures, 2 in the simulator and 4 by the integer network on the CPU" in text


def test_a_picture_may_have_any_name(tmp_path: Path) -> None:
    build = reports.build(tmp_path / "build")
    at = {name: build / path for name, path in files.paths(reports.names("int8")).items()}
    for file in (at["verify"], at["heldout"] / "manifest.json"):
        text = file.read_text()
        assert "0/<0>.png" in text
        file.write_text(text.replace("0/<0>.png", r"\udcff\u001b[2J\n.png"))
    path = tmp_path / "report.html"
    path.write_text(reports.html(build), encoding="utf-8")
    assert r"\udcff\x1b[2J\n.png" in path.read_text()
    assert comparison.load(path)
