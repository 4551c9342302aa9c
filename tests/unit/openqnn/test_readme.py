"""openqnn's README names every Python package that openqnn imports."""

import ast
import re
import sys

from scripts.source import ROOT

OPENQNN = ROOT / "toolchains" / "openqnn"
# Packages whose modules have another name.
PACKAGES = {"google": "protobuf", "onnxruntime_qnn": "onnxruntime-qnn"}


def imported() -> set[str]:
    """The packages outside of Python and openqnn that the sources import."""
    nodes = [
        node
        for path in (OPENQNN / "lib" / "python").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
    ]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    modules = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"openqnn"}
    return {PACKAGES.get(name, name) for name in modules}


def test_every_package_is_named() -> None:
    text = (OPENQNN / "README.md").read_text()
    (cell,) = re.findall(
        r"^\| `qnn-onnx-converter` \(Python\) \| `([^`]+)` \|$", text, re.MULTILINE
    )
    assert set(cell.split()) == imported()
