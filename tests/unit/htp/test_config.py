"""The two levels of configuration, against the documented schema."""

import json
from pathlib import Path

import pytest

from scripts import catalog
from scripts.htp import config

LIBRARY = Path("/sdk/lib/x86_64-linux-clang/libQnnHtpNetRunExtensions.so")
TARGET = catalog.targets()["iq9075"]
# The keys of the documented schema (HTP backend page, QAIRT 2.25).
GRAPH_KEYS = {"graph_names", "vtcm_mb", "O", "fp16_relaxed_precision", "hvx_threads", "dlbc"}
DEVICE_KEYS = {"device_id", "soc_id", "soc_model", "dsp_arch", "pd_session", "cores"}


@pytest.mark.parametrize("is_fp16", [True, False])
def test_level_2_has_the_targets_data(tmp_path: Path, is_fp16: bool) -> None:
    config.write(tmp_path, LIBRARY, "dinov3_digits_fp16", TARGET, is_fp16=is_fp16)
    read = json.loads((tmp_path / config.CONFIG).read_text())
    (graph,), (device,) = read["graphs"], read["devices"]
    assert graph == {
        "graph_names": ["dinov3_digits_fp16"],
        "vtcm_mb": 8,
        "O": 3,
        "fp16_relaxed_precision": int(is_fp16),
    }
    assert device == {"soc_model": 77, "dsp_arch": "v73"}


def test_only_documented_keys_are_used() -> None:
    settings = config.settings("g", TARGET, is_fp16=True)
    assert set(settings) == {"graphs", "devices"}
    assert set(settings["graphs"][0]) <= GRAPH_KEYS
    assert set(settings["devices"][0]) <= DEVICE_KEYS


def test_level_1_points_at_level_2_beside_it(tmp_path: Path) -> None:
    first = config.write(tmp_path, LIBRARY, "g", TARGET, is_fp16=True)
    extensions = json.loads(first.read_text())["backend_extensions"]
    assert extensions["shared_library_path"] == str(LIBRARY)
    assert (first.parent / extensions["config_file_path"]).is_file()
