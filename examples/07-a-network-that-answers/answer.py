"""Print what the context answers for the first held-out picture: its own logits, largest first."""

import json
from pathlib import Path

import numpy as np

BUILD = Path("build/digits-head")
logits = np.fromfile(BUILD / "final_binary/int8/golden_output.raw", "<f4")
manifest = json.loads((BUILD / "calibration/heldout/manifest.json").read_text())
best = np.argsort(-logits)[:3].tolist()
print(f"{manifest['images'][0]['source']}: {best[0]}")
print("then " + " and ".join(map(str, best[1:])))
