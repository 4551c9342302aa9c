import json
from argparse import Namespace
from pathlib import Path

import pytest

from scripts import artefacts
from scripts.errors import ArtefactError, CompileError
from scripts.htp import estimate as estimates
from scripts.htp.estimate import Estimate, read_profile
from scripts.htp.timeline import Timeline
from scripts.stages import profile
from tests.unit.htp.test_contexts import HEAD, TAIL

# As the provider of onnxruntime-qnn 2.7.0 writes it, host times included.
PROFILE = """\
Msg Timestamp,Message,Time,Unit of Measurement,Timing Source,Event Level,Event Identifier
0,FINALIZE,219446,US,BACKEND,ROOT,QNN (finalize) time
0,BACKEND,290086,CYCLES,BACKEND,SUB-EVENT,Simulated (Accelerator exec cycles)
0,BACKEND,193,US,BACKEND,SUB-EVENT,Simulated (Accelerator exec time us)
0,BACKEND,168,US,BACKEND,SUB-EVENT,Simulated (Accelerator exec time us (lower estimate))
0,BACKEND,224,US,BACKEND,SUB-EVENT,Simulated (Accelerator exec time us (upper estimate))
0,BACKEND,978944,BYTES,BACKEND,SUB-EVENT,Input Fill
0,BACKEND,100,BYTES,BACKEND,SUB-EVENT,Intermediate Fill
0,BACKEND,200,BYTES,BACKEND,SUB-EVENT,Intermediate Spill
0,BACKEND,36864,BYTES,BACKEND,SUB-EVENT,Output Spill
"""


@pytest.fixture
def estimate(tmp_path: Path) -> Estimate:
    (tmp_path / "profile.csv").write_text(PROFILE)
    return estimates.required(read_profile(tmp_path / "profile.csv"))


def test_reads_the_compilers_profile(estimate: Estimate) -> None:
    assert (estimate.microseconds_low, estimate.microseconds, estimate.microseconds_high) == (
        168,
        193,
        224,
    )
    assert estimate.ddr_bytes == 978944 + 100 + 200 + 36864


def test_half_an_estimate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "profile.csv").write_text("\n".join(PROFILE.splitlines()[:4]))
    with pytest.raises(CompileError, match="lower estimate"):
        read_profile(tmp_path / "profile.csv")


def test_the_report(tmp_path: Path, estimate: Estimate) -> None:
    context = tmp_path / "c.serialized.bin"
    context.write_bytes(HEAD + TAIL)
    arguments = Namespace(precision="int8", context=context, out=tmp_path)
    with pytest.raises(ArtefactError, match="no estimate"):
        profile.main(arguments)
    estimates.save(estimate, context)
    with pytest.raises(ArtefactError, match="no timeline"):
        profile.main(arguments)
    Timeline().save(context)
    profile.main(arguments)
    report = json.loads((tmp_path / artefacts.profile_report("int8")).read_text())
    assert report["milliseconds"] == 0.193
    assert report["ddr_bytes"] == estimate.ddr_bytes
    assert report["target"]["soc_type"] == "QCS9100"


def test_a_profile_may_have_no_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "profile.csv").write_text("\n".join(PROFILE.splitlines()[:2]))
    estimated = read_profile(tmp_path / "profile.csv")
    assert estimated is None
    with pytest.raises(CompileError, match="no estimate for this SoC"):
        estimates.required(estimated)
    context = tmp_path / "c.serialized.bin"
    context.write_bytes(HEAD + TAIL)
    estimates.save(estimated, context)
    Timeline().save(context)
    assert estimates.load(context) is None
    profile.main(Namespace(precision="int8", context=context, out=tmp_path))
    report = json.loads((tmp_path / artefacts.profile_report("int8")).read_text())
    assert report["milliseconds"] is None
    assert report["no_estimate"].startswith("no estimate for QCS9100")
    assert "ddr_bytes" not in report
    assert "no estimate for QCS9100" in capsys.readouterr().out
