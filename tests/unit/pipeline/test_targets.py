"""What a user reads of a target without an estimate, or of another architecture."""

from __future__ import annotations

from scripts import catalog
from scripts.pipeline import request, session, summary
from scripts.source import ROOT

TARGETS = catalog.targets()


def test_another_architecture_is_told_whose_measurements_it_gets() -> None:
    def note(name: str, *verbs: str, precision: str = "int8") -> str:
        return session.measured_elsewhere(request.make(target=name, precision=precision), verbs)

    assert note("iq9075", "lower", "quantize") == note("sa8255", "lower", "quantize") == ""
    assert note("sm8650", "export") == ""
    assert "lower applies what was measured for v73" in note("sm8650", "lower")
    assert "lower" not in note("qcs8550", "lower", "quantize")
    assert "by the times of iq9075" in note("qcs8550", "lower", "quantize")
    assert not note("qcs8550", "lower", "quantize", precision="w8a16")


def test_every_stand_in_has_an_estimate_of_its_own() -> None:
    assert all(not target.clock.timed_by for target in TARGETS.values())


def test_no_time_is_said_in_words() -> None:
    reason = "no estimate for SM8650: Qualcomm's compiler does not simulate its time"
    rows = summary._figures({}, {"milliseconds": None, "no_estimate": reason})
    assert rows == [("simulated time", "-", reason)]


def test_the_page_has_every_target_as_the_catalog_has_it() -> None:
    page = (ROOT / "docs" / "targets.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    shown = {row[0].strip("`"): tuple(row[2:]) for row in rows}
    assert shown == {
        name: (
            f"{target.soc_model} {target.soc_name}",
            target.arch,
            f"{target.vtcm_mb} MB",
            f"no {', '.join(target.lacks)}" if target.lacks else "all",
            "no" if target.timed_by else "yes",
        )
        for name, target in TARGETS.items()
    }
