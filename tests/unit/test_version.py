import tomllib

import scripts
from scripts.source import ROOT


def test_files_name_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert scripts.__version__ == project["version"]
