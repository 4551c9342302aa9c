"""The documents of a package, held against its manifest and so against each other.

Each says something of the package that somebody relies on without reading the manifest: an auditor
on the bill of materials, ONNX Runtime on its ONNX file. None may say anything else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from scripts.errors import ArtefactError
from scripts.package import document, manifest, provenance, rule, sbom
from scripts.package.manifest import GOLDEN_INPUT, MANIFEST, SUMS, Manifest

_REPORTS = {"reports/verify.json": "accuracy", "reports/profile.json": "simulated_latency"}
_ONNX = re.compile(r"model/[^/]+\.onnx")
# Bytes: one node, and names and shapes of a few tensors.
_LARGEST_ONNX = 64 << 10
_FACTS: document.Shape = {
    "model": {"name": str, "input": {"name": str, "shape": [int]}},
    "weights": {"synthetic": bool, "files": [{"name": str, "sha256": str}]},
    "image": {"digest": str},
    "source": {"digest": {}},
    "sdk": {"sha256": str},
}
_STATEMENT: document.Shape = {
    "subject": [{"name": str, "digest": {"sha256": str}}],
    "predicateType": str,
    "predicate": {
        "buildDefinition": {"externalParameters": {}, "resolvedDependencies": [{"name": str}]}
    },
}
_BILL: document.Shape = {
    "metadata": {"component": {"name": str}},
    "components": [{"name": str, "hashes": [{"alg": str, "content": str}]}],
}


class Bounds:
    """What of a package is a document, read whole: by name, each with its bytes at most."""

    def __init__(self, also: Mapping[str, int]) -> None:
        names = (MANIFEST, SUMS, provenance.FILE, sbom.FILE, *_REPORTS)
        self._largest = {**dict.fromkeys(names, rule.MAX_DOCUMENT), **also}
        self._onnx = 0

    def admit(self, path: str, size: int) -> bool:
        """Tell whether a file is a document.

        Raises:
            ArtefactError: it is one, and too large, or a second ONNX file.
        """
        is_onnx = bool(_ONNX.fullmatch(path))
        if path not in self._largest and not is_onnx:
            return False
        rule.check_document(path, size, self._largest.get(path, _LARGEST_ONNX))
        self._onnx += is_onnx
        if self._onnx > 1:
            raise rule.refusal(f"{path} is a second ONNX file; a package has one.")
        return True


def check(own: Manifest, documents: Mapping[str, bytes]) -> None:
    """Refuse a package whose documents say what its manifest does not.

    Raises:
        ArtefactError: one does, or is not such a document at all.
    """
    facts = document.load(documents[MANIFEST], MANIFEST, _FACTS)
    _check_roles(own)
    for path, content in documents.items():
        if path == provenance.FILE:
            _check_provenance(own, facts, content)
        elif path == sbom.FILE:
            _check_bill(own, content)
        elif path in _REPORTS:
            figures = manifest.figures(document.load(content, path, {}, shown=False))
            _require(figures == facts[_REPORTS[path]], path, "figures")
        elif _ONNX.fullmatch(path):
            _check_onnx(own, facts, path, content)


def _check_roles(own: Manifest) -> None:
    """Refuse a package that a board would not know how to run."""
    for role in ("runner", "context binary"):
        if len(own.role(role)) != 1:
            raise rule.refusal(f"The package has {len(own.role(role))} files that are its {role}.")
    golden = {row.path: row.size for row in own.entries if row.role == "golden"}
    inputs = [path for path in golden if path.startswith(GOLDEN_INPUT)]
    whole = all(size and size % 4 == 0 for path, size in golden.items() if path not in inputs)
    if golden and (len(inputs) != 1 or not whole):
        raise rule.refusal("The package's golden files are not one input and outputs in float32.")


def _check_provenance(own: Manifest, facts: Mapping[str, Any], content: bytes) -> None:
    statement = document.load(content, provenance.FILE, _STATEMENT)
    files = [(row["name"], row["digest"]["sha256"]) for row in statement["subject"]]
    _require(files == _files(own), provenance.FILE, "files")
    definition = statement["predicate"]["buildDefinition"]
    for name in ("model", "precision", "target"):
        parameter = definition["externalParameters"].get(name)
        _require(parameter == facts[name].get("name"), provenance.FILE, name)
    dependencies = definition["resolvedDependencies"]
    expected = list(provenance.dependencies(facts))
    # Names of ours first, each once: what follows, the manifest does not know.
    others = {row["name"] for row in dependencies[len(expected) :]}
    same = dependencies[: len(expected)] == expected
    _require(same and others.isdisjoint(row["name"] for row in expected), provenance.FILE, "inputs")


def _check_bill(own: Manifest, content: bytes) -> None:
    bill = document.load(content, sbom.FILE, _BILL)
    files = [(row["name"], part["content"]) for row in bill["components"] for part in row["hashes"]]
    _require(files == _files(own), sbom.FILE, "files")
    _require(bill["metadata"]["component"]["name"] == own.name, sbom.FILE, "name")


def _check_onnx(own: Manifest, facts: Mapping[str, Any], path: str, content: bytes) -> None:
    from scripts.package import epcontext  # onnx takes a while to load: not for every command

    contexts = own.role("context binary")
    beside = [PurePosixPath(name).name for name in contexts if name.startswith("model/")]
    interface = epcontext.load(content, path, beside[0] if beside else "", facts)
    model = facts["model"]
    # A context has its outputs in the compiler's order.
    outputs = Counter(row.get("name") for row in model.get("outputs") or [model.get("output", {})])
    inputs = [(model["input"]["name"], tuple(model["input"]["shape"]))]
    _require([(row.name, row.shape) for row in interface.inputs] == inputs, path, "input")
    _require(Counter(row.name for row in interface.outputs) == outputs, path, "outputs")
    _require(epcontext.path(interface) == path, path, "graph")


def _files(own: Manifest) -> list[tuple[str, str]]:
    """Return the files that provenance and bill of materials list: all but these two."""
    entries = sorted(own.entries, key=lambda entry: entry.path)
    beyond = (provenance.FILE, sbom.FILE)
    return [(entry.path, entry.sha256) for entry in entries if entry.path not in beyond]


def _require(same: bool, path: str, what: str) -> None:
    if not same:
        raise ArtefactError(
            f"{path} does not agree with {MANIFEST}: the {what} of one are not those of the other.",
            cause="the package was put together by hand, or by another program",
            remedy="do not use it; make it again with `invoke package`",
        )
