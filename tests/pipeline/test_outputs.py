"""Builds with every output there is: each is judged, packed, and written by the runner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import artefacts
from scripts.package import package
from scripts.package.package import Unpacked
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.container import Mount, Program, run
from scripts.pipeline.request import BUILTIN_WEIGHTS, Request

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]
HEAD = BUILTIN_WEIGHTS / "head.safetensors"
EVERY = f"layers=1,tokens,cls,patches,features,head={HEAD},patch-head={HEAD}"
SHAPES = {
    "layer_1": [1, 96, 4, 4],
    "last_hidden_state": [1, 21, 96],
    "cls": [1, 96],
    "patches": [1, 16, 96],
    "features": [1, 96, 4, 4],
    "head": [1, 10],
    "patch_head": [1, 10, 4, 4],
}


@pytest.mark.parametrize(
    "texts", [{"precision": "int8"}, {"precision": "w8a16", "input": "uint8"}], ids=str
)
def test_every_output_is_judged_packed_and_written(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    builder: Builder,
    cpp_sample: Callable[[Unpacked, bytes], str],
    tmp_path: Path,
    texts: dict[str, str],
) -> None:
    build(outputs=EVERY, **texts)
    request = ask(outputs=EVERY, **texts)
    report = json.loads(
        (request.root / artefacts.verify_report(request.precision.name)).read_text()
    )
    assert [*report["outputs"]] == [*SHAPES]
    assert report["accuracy"]["context"] >= report["accuracy"]["reference"] - 0.01
    with package.unpacked(request.archive) as unpacked:
        manifest = json.loads((unpacked.folder / "manifest.json").read_text())
        rows = manifest["model"]["outputs"]
        assert {row["name"]: row["shape"] for row in rows} == SHAPES
        assert all(row["meaning"] for row in rows)
        takes = "--rgb" if "input" in texts else "--input"
        (source,) = (unpacked.folder / "golden").glob("input.*")
        (context,) = (unpacked.folder / "model").glob("*.serialized.bin")
        program = Program(
            [
                "/opt/openqnn/bin/x86_64-linux-clang/dinov3-run",
                *("--context", f"/package/model/{context.name}"),
                *(takes, f"/package/golden/{source.name}", "--output", "/out/outputs"),
            ],
            [Mount(unpacked.folder, "/package"), Mount(tmp_path, "/out", writable=True)],
        )
        assert run(builder.client, builder.image.id, program).exit_code == 0
        for name in SHAPES:
            written = (tmp_path / "outputs" / f"{name}.raw").read_bytes()
            assert written == (unpacked.folder / "golden" / f"{name}.raw").read_bytes()
        root = request.root / artefacts.image_set("heldout")
        said = cpp_sample(unpacked, b"P6 32 32 255\n" + (root / "000000.rgb").read_bytes())
        (first, *_) = json.loads((root / "manifest.json").read_text())["images"]
        assert f"head [1, 10]\n{first['label']}: " in said
