"""Print what every precision that was built came to: accuracy, simulated time, size."""

import json
from pathlib import Path

ROW = "{:10} {:>9} {:>9} {:>9} {:>12}"

print(ROW.format("precision", "cls_mean", "cls_p1", "ms", "bytes"))
for folder in sorted(Path("build/digits/final_binary").iterdir()):
    verify, profile = (
        json.loads((folder / name).read_text()) for name in ("verify.json", "profile.json")
    )
    figures = verify["figures"]
    print(
        ROW.format(
            folder.name,
            f"{figures['cls_mean']:.5f}",
            f"{figures['cls_p1']:.5f}",
            "-" if profile["milliseconds"] is None else f"{profile['milliseconds']:.3f}",
            f"{profile['context_bytes']:,}",
        )
    )
