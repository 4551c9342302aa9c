from dataclasses import fields, replace
from pathlib import Path, PurePosixPath

from scripts.console import Console
from scripts.pipeline import doctor, manual, request, summary
from scripts.pipeline.build import Done
from scripts.pipeline.plan import Stage
from scripts.source import ROOT


def names(table: dict[str, str]) -> set[str]:
    return {name for entry in table for name in entry.split(", ")}


def step(verb: str, *outputs: str, ran: bool = True) -> Done:
    files = {name: {"size": 10, "sha256": name[::-1]} for name in outputs}
    usage = {"peak_memory_bytes": 7}
    return Done(Stage(verb, verb, ()), {"outputs": files, "seconds": 1.5, "usage": usage}, ran)


def test_the_table_says_where_a_stage_came_from() -> None:
    how = {
        str(summary._stage_row(replace(step("export", ran=False), origin=origin))[1])
        for origin in ("", "the store", "the shared cache")
    }
    assert how == {"skipped", "from the store", "from the shared cache"}


def test_the_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "options.md").read_text() == manual.page()


def test_a_build_without_an_archive_has_none() -> None:
    record = summary.record(request.make(), [step("export", "models/a.onnx")])
    assert record["archive"] is None


def test_the_record_of_a_build_names_its_archive(tmp_path: Path) -> None:
    build = request.make(build_dir=tmp_path)
    archive = str(build.archive.relative_to(build.root))
    steps = [step("images", "images/0.png", "list.txt", ran=False), step("package", archive)]
    record = summary.record(build, steps)
    assert names(manual.STAGES) == {*record, "builds", "report", "signature", "provenance"}
    assert record["archive"] == {"path": str(build.archive), "size": 10, "sha256": archive[::-1]}
    assert [Path(file["path"]).name for file in record["artefacts"]] == [
        "list.txt",
        build.archive.name,
    ]
    cost = {"seconds": 1.5, "peak_memory_bytes": 7}
    assert record["stages"] == [
        {"name": "images", "ran": False, "restored": False, **cost},
        {"name": "package", "ran": True, "restored": False, **cost},
    ]
    assert summary.lines(build, steps) == f"{archive[::-1]}  {build.archive}"


def test_a_report_of_an_earlier_build_is_not_shown(tmp_path: Path) -> None:
    build = request.make(build_dir=tmp_path)
    path = build.root / PurePosixPath("final_binary/int8/profile.json")
    path.parent.mkdir(parents=True)
    path.write_text('{"milliseconds": 1}')
    assert summary.record(build, [step("context")])["profile"] == {}
    assert summary.record(build, [step("profile")])["profile"] == {"milliseconds": 1}


def test_the_page_names_the_fields_of_findings_and_errors() -> None:
    assert set(manual.DOCTOR["findings"].split("`")[1::2]) == {
        field.name for field in fields(doctor.Finding)
    }
    console = Console()
    console.failed(ValueError("x"), [])
    assert names(manual.ERROR) == set(console.document["error"])
