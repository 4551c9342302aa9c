from pathlib import Path

import pytest
from PIL import Image

from scripts.errors import UsageError
from scripts.pipeline import plan, request
from scripts.pipeline.plan import Stage
from scripts.source import ROOT, closure


def stages(**texts: str) -> list[Stage]:
    return plan.stages(request.make(**texts))


def verbs(**texts: str) -> list[str]:
    return [stage.verb for stage in stages(**texts)]


def test_fp16_needs_no_quantisation() -> None:
    assert "quantize" in verbs()
    assert "quantize" not in verbs(precision="fp16")


def test_ranges_are_audited_before_fp16_is_compiled_and_elsewhere_on_request() -> None:
    built = verbs(precision="fp16")
    assert built.index("lower") < built.index("audit") < built.index("convert")
    assert "audit" not in verbs()
    build = request.make()
    assert [stage.verb for stage in plan.up_to(build, "audit")][-2:] == ["lower", "audit"]


def test_only_weights_from_the_hub_are_fetched_and_only_that_has_network() -> None:
    assert [stage.name for stage in stages(model="vits16")] == ["fetch"]
    (fetch,) = plan.up_to(request.make(weights="someone/finetune@v2"), "export")
    assert fetch.network
    assert fetch.arguments == ("--repo", "someone/finetune", "--revision", "v2")
    assert not any(stage.network for stage in stages(model="vits16", weights="random"))


def test_own_pictures_replace_the_built_in_ones(tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "a.png")
    assert "images" not in verbs(images=str(tmp_path))


def test_names_are_unique_and_every_program_exists() -> None:
    for precision in ("fp16", "int8", "w8a16"):
        names = [stage.name for stage in stages(precision=precision)]
        assert len(names) == len(set(names))
    for stage in (*stages(model="vits16"), *stages()):
        assert ROOT.joinpath(*stage.module.split(".")).with_suffix(".py") in closure(stage.module)


def test_a_stage_reads_only_what_an_earlier_one_makes() -> None:
    for stage in stages():
        for argument in stage.arguments:
            if argument.startswith("/build/"):
                path = argument.removeprefix("/build/")
                assert any(path.startswith(str(known)) for known in stage.inputs), argument


def test_up_to_ends_at_the_last_stage_of_that_verb() -> None:
    build = request.make()
    assert plan.up_to(build, "calibrate")[-1].name == "calibrate-heldout"
    build = request.make(precision="fp16")
    with pytest.raises(UsageError, match="no stage 'quantize'"):
        plan.up_to(build, "quantize")


def test_a_build_does_without_a_diagnosis_that_reads_what_was_quantised() -> None:
    build = request.make()
    assert "diagnose" not in verbs()
    assert [stage.verb for stage in plan.up_to(build, "diagnose")][-2:] == ["quantize", "diagnose"]


def test_a_budget_reaches_quantize() -> None:
    build = request.make(precision="mixed", max_ms=0.2)
    quantize = next(stage for stage in plan.stages(build) if stage.verb == "quantize")
    assert quantize.arguments[-4:] == ("--target", "iq9075", "--max-ms", "0.2")


@pytest.mark.parametrize("precision", ["int8", "mixed"])
def test_the_package_of_a_budget_says_which_weights_it_bought(precision: str) -> None:
    budget = {"max_ms": "1"} if precision == "mixed" else {}
    stage = plan.stages(request.make(precision=precision, **budget))[-1]
    assert ("--widths" in stage.arguments) == (precision == "mixed")


def test_the_calibration_method_reaches_quantize() -> None:
    quantize = next(stage for stage in stages(method="mse") if stage.verb == "quantize")
    assert quantize.arguments[-4:] == ("--method", "mse", "--target", "iq9075")


def test_encodings_of_aimet_reach_quantize(tmp_path: Path) -> None:
    file = tmp_path / "aimet.encodings"
    file.write_text('{"version": "2.0.0", "encodings": []}')
    quantize = next(stage for stage in stages(encodings=str(file)) if stage.verb == "quantize")
    assert quantize.arguments[-2:] == ("--encodings", "/aimet.encodings")
    assert [mount.source for mount in quantize.mounts] == [file]
    with pytest.raises(UsageError, match="takes no --encodings"):
        stages(precision="fp16", encodings=str(file))
    with pytest.raises(UsageError, match="takes no --encodings"):  # before it is read
        stages(precision="fp16", encodings=str(tmp_path / "other"))
    with pytest.raises(UsageError, match="says what --method chooses"):
        stages(encodings=str(file), method="mse")
    with pytest.raises(UsageError, match="is not there"):
        stages(encodings=str(tmp_path / "other"))


def test_pinned_widths_reach_quantize(tmp_path: Path) -> None:
    file = tmp_path / "pins.json"
    file.write_text('{"16": {"Add to Norm": "all"}}')
    quantize = next(stage for stage in stages(widths=str(file)) if stage.verb == "quantize")
    assert quantize.arguments[-2:] == ("--widths", "/widths.json")
    assert [mount.source for mount in quantize.mounts] == [file]
    with pytest.raises(UsageError, match="no widths to choose") as refused:
        stages(precision="w8a16", widths=str(file))
    assert refused.value.remedy == "leave --widths out, or choose --precision int8"
    with pytest.raises(UsageError, match="is not there"):
        stages(widths=str(tmp_path / "other.json"))


def test_without_the_gate_verify_is_told_so() -> None:
    build = request.make(gate=False)
    verify = next(stage for stage in plan.stages(build) if stage.verb == "verify")
    assert "--no-gate" in verify.arguments


def test_the_input_reaches_lower_alone_and_the_golden_input_is_of_its_kind() -> None:
    floats, taken = stages(), stages(input="uint8")
    changed = [
        (left.verb, set(right.arguments) ^ set(left.arguments))
        for left, right in zip(floats, taken, strict=True)
        if left.arguments != right.arguments
    ]
    golden = {f"/build/calibration/heldout/000000.{kind}" for kind in ("raw", "rgb")}
    golden.add("digits-uint8")
    lower = {"--input", "uint8", "--weights", "/weights"}
    assert changed == [("lower", lower), ("package", golden)]


def test_the_licence_of_this_project_reaches_the_package() -> None:
    package = stages()[-1]
    sources = {mount.target: mount.source for mount in package.mounts}
    for name in ("LICENSE", "NOTICE"):
        assert sources[f"/notices/{name}"] == ROOT / name
    assert package.arguments[-2:] == ("--notices", "/notices")


def test_what_no_context_can_hold_is_exported_and_not_built() -> None:
    build = request.make(model="vit7b16", weights="random")
    assert plan.up_to(build, "export")[-1].verb == "export"
    with pytest.raises(UsageError, match="32-bit addresses"):  # before 27 GB are fetched
        plan.stages(request.make(model="vit7b16"))
    for planned in (lambda: plan.stages(build), lambda: plan.up_to(build, "context")):
        with pytest.raises(UsageError, match="32-bit addresses"):
            planned()


def test_weights_are_seen_one_by_one_and_read_only(tmp_path: Path) -> None:
    """A snapshot's links lead out of its folder, which a container would not see."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    for file in request.BUILTIN_WEIGHTS.iterdir():
        (tmp_path / "blobs" / file.name).write_bytes(file.read_bytes())
        (tmp_path / "snapshot" / file.name).symlink_to(Path("../blobs") / file.name)
    export = next(
        stage for stage in stages(weights=str(tmp_path / "snapshot")) if stage.verb == "export"
    )
    places = {mount.target: mount.source for mount in export.mounts}
    assert places["/weights/model.safetensors"] == tmp_path / "blobs" / "model.safetensors"
    assert not any(mount.writable for mount in export.mounts)


def test_targets_without_an_estimate_share_all_that_is_before_the_converter() -> None:
    by_name = {stage.name: stage for stage in stages()}
    others = stages(target="sm8650")
    shared = [stage.verb for stage in others if by_name.get(stage.name) == stage]
    assert shared[:6] == ["images", "calibrate", "calibrate", "export", "lower", "quantize"]
    assert {"convert", "context"}.isdisjoint(shared)


def test_a_precision_that_a_target_lacks_is_refused_before_work_and_exports() -> None:
    build = request.make(target="qcs6490", precision="fp16")
    with pytest.raises(UsageError, match=r"v68, cannot compute fp16") as refusal:
        plan.stages(build)
    assert refusal.value.remedy == "choose --precision w8a16 or int8 or mixed or w4a16 or w4a8"
    assert plan.up_to(build, "lower")[-1].verb == "lower"
    assert stages(target="qcs6490", precision="w8a16")
