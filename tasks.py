"""dinov3-qnn: from a PyTorch DINOv3 checkpoint to a verified Hexagon binary, in one command.

Every task is thin: it checks what was asked, plans, and hands over to `scripts/pipeline`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke import Collection, Context, Exit, Task, task

from scripts import boards as deployment
from scripts.bench import bench as benchmark
from scripts.console import Console
from scripts.errors import INTERRUPTED, PipelineError
from scripts.image import image as images
from scripts.package import inspection, signature
from scripts.package import weights as checkpoints
from scripts.pipeline import doctor as examination
from scripts.pipeline import engine, plan, session, suites
from scripts.pipeline import reproduce as reproduction
from scripts.pipeline import request as requests
from scripts.pipeline.session import DEFAULT_LANE

OPTIONS = {
    "model": "network: see scripts/catalog/models.toml",
    "precision": "fp16, int8, w8a16, or mixed (with a budget)",
    "target": "board: see scripts/catalog/targets.toml",
    "weights": "Hugging Face directory, hf (the hub), or random[:SEED]; default: the model's own",
    "images": "folder of pictures to calibrate and verify on; default: the model's built-in set",
    "heldout": "folder of pictures to verify on; default: those of --images not calibrated on",
    "build-dir": "where artefacts go",
    "sdk": "official QAIRT SDK to use instead of openqnn; default: $QAIRT_SDK_ROOT",
    "lane": "build image: see docker/lanes/",
    "memory": "memory limit of a stage in GB; default: nearly all there is",
    "sign": "private SSH key to sign the archive with",
    "max-ms": "mixed: the most exact network that takes so many simulated milliseconds",
    "min-cosine": "mixed: the fastest network with this cosine on unseen pictures",
    "input": "what the network takes: float32 (planes, normalised) or uint8 (RGB, only resized)",
    "method": "how activations' ranges are chosen: min-max, percentile or mse",
    "gate": "fail where verify falls short of the precision's gate; --no-gate records that it did",
}

# As of a program that the signal SIGPIPE ended.
UNREAD = 141
DEVICE = "names or groups in devices.toml, separated by commas"
ARCHIVE = "archive to deploy; default: that of `make build`"
SIGNERS = "allowed_signers file; with it, the archive must be signed by one of them"
DEFAULTS = {"model": "digits", "precision": "int8", "target": "iq9075", "sdk": ""}


def command(body: Callable[..., None]) -> Callable[..., None]:
    """Print an error of ours without a traceback and exit with its own code."""

    @functools.wraps(body)
    def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            body(*arguments, **options)
        except PipelineError as error:
            raise Exit(f"error: {error}", code=error.exit_code) from error
        except KeyboardInterrupt:
            raise Exit("interrupted; finished stages are kept", code=INTERRUPTED) from None
        except BrokenPipeError:  # who reads, `head` for one, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(code=UNREAD) from None

    return wrapped


def _request(**given: Any) -> requests.Request:
    sdk = given.pop("sdk") or os.environ.get("QAIRT_SDK_ROOT", "")
    return requests.make(sdk=sdk, **given)


def _stage_task(verb: str) -> Task[Any, Any]:
    """Return a task that brings one stage, and all it depends on, up to date."""

    @command
    def body(
        c: Context,
        model: str = "digits",
        precision: str = "int8",
        target: str = "iq9075",
        weights: str = "",
        images: str = "",
        heldout: str = "",
        build_dir: str = "build",
        sdk: str = "",
        lane: str = DEFAULT_LANE,
        memory: int = 0,
        sign: str = "",
        gate: bool = True,
        max_ms: float = 0.0,
        min_cosine: float = 0.0,
        input: str = "float32",
        method: str = "min-max",
    ) -> None:
        asked = _request(
            model=model,
            precision=precision,
            target=target,
            weights=weights,
            images=images,
            heldout=heldout,
            build_dir=build_dir,
            sdk=sdk,
            gate=gate,
            max_ms=max_ms,
            min_cosine=min_cosine,
            input=input,
            method=method,
        )
        stages = plan.up_to(asked, verb) if verb != "build" else plan.stages(asked)
        key = _packing_key(asked, sign) if stages[-1].verb == "package" else None
        session.run(session.builder(lane=lane, memory_gb=memory), asked, stages)
        if key:
            Console().note(f"signature: {signature.sign(asked.archive, key)}")

    body.__doc__ = BUILD if verb == "build" else plan.says(verb)
    return Task(body, name=verb, help=OPTIONS, auto_shortflags=False)


def _packing_key(asked: requests.Request, sign: str) -> Path | None:
    """Return the key to sign with, if any, once nothing speaks against packing in the end."""
    if asked.weights_directory:
        checkpoints.licences(asked.model, str(asked.weights_directory))
    return signature.key(sign) if sign else None


BUILD = "Build everything: checkpoint to verified context binary, skipping what is whole already."


@task(
    auto_shortflags=False,
    help={name: OPTIONS[name] for name in ("model", "precision", "input")},
)
@command
def reproduce(
    c: Context,
    model: str = "digits",
    precision: str = "int8",
    target: str = "iq9075",
    weights: str = "",
    input: str = "float32",
    build_dir: str = "build",
    lane: str = DEFAULT_LANE,
) -> None:
    """Build twice, in other folders and at other times, and compare every byte."""
    asked = _request(
        model=model,
        precision=precision,
        target=target,
        weights=weights,
        input=input,
        build_dir=build_dir,
        sdk="",
    )
    reproduction.run(session.builder(lane=lane), asked)


@task(
    auto_shortflags=False,
    help={name: OPTIONS[name] for name in ("model", "weights", "precision", "sdk", "lane")},
)
@command
def doctor(
    c: Context,
    model: str = "digits",
    weights: str = "",
    precision: str = "int8",
    build_dir: str = "build",
    sdk: str = "",
    lane: str = DEFAULT_LANE,
) -> None:
    """Check engine, image, memory, disk, SDK and weights, and say what to do about each."""
    asked = _request(
        model=model,
        precision=precision,
        target="iq9075",
        weights=weights,
        build_dir=build_dir,
        sdk=sdk,
    )
    if not examination.show(Console(), examination.examine(asked, lane)):
        raise Exit("something is missing; see above", code=1)


@task(
    auto_shortflags=False,
    help={
        "fast": "only what needs no engine: linter, types, unit tests",
        "slow": "only what all tests leave out: ViT-S in every precision, minutes each",
    },
)
@command
def test(c: Context, fast: bool = False, slow: bool = False) -> None:
    """Run all tests: unit, image, and builds of digits from end to end."""
    run = suites.fast if fast else suites.slow if slow else suites.everything
    run(Console())


@task(
    auto_shortflags=False,
    help={
        "model": OPTIONS["model"],
        "weights": OPTIONS["weights"],
        "precisions": "fp16, int8, w8a16, separated by commas",
        "out": "JSON file to write",
    },
)
@command
def bench(
    c: Context,
    model: str = "vith16plus",
    weights: str = "random",
    precisions: str = "int8,w8a16,fp16",
    out: str = "build/bench.json",
    lane: str = DEFAULT_LANE,
) -> None:
    """Time every stage with its peak memory, beside the plain ONNX Runtime recipe."""
    made = session.builder(lane=lane)
    benchmark.run(made, model, weights, precisions.split(","), Path(out))


@task(
    auto_shortflags=False,
    name="build",
    help={"lane": OPTIONS["lane"], "no-cache": "build every layer again"},
)
@command
def image_build(c: Context, lane: str = DEFAULT_LANE, no_cache: bool = False) -> None:
    """Build the image of a lane."""
    images.build(engine.connect(), lane, no_cache=no_cache)


@task(auto_shortflags=False, name="reproduce", help={"lane": OPTIONS["lane"]})
@command
def image_reproduce(c: Context, lane: str = DEFAULT_LANE) -> None:
    """Build the image twice without cache and compare every path, mode, owner, link and byte."""
    images.reproduce(engine.connect(), lane)


@task(auto_shortflags=False, name="lock", help={"lane": OPTIONS["lane"]})
@command
def image_lock(c: Context, lane: str = DEFAULT_LANE) -> None:
    """Refresh the pins of packages, wheels and the content digest."""
    images.lock(engine.connect(), lane)


@task(auto_shortflags=False, positional=["archive"], help={"signers": SIGNERS})
@command
def inspect(c: Context, archive: str, signers: str = "") -> None:
    """Check every file of an archive against its manifest, and show what it is."""
    for title, rows in inspection.tables(Path(archive), Path(signers) if signers else None):
        Console().table(title, rows)


@task(auto_shortflags=False, help={"device": DEVICE, "archive": ARCHIVE, "signers": SIGNERS})
@command
def deploy(c: Context, device: str, archive: str = "", signers: str = "") -> None:
    """Bring an archive into use on boards over SSH: checked, resumable, switched in one step."""
    chosen = Path(archive) if archive else _request(**DEFAULTS).archive
    deployment.deploy(chosen, device.split(","), signers=Path(signers) if signers else None)


@task(auto_shortflags=False, help={"device": DEVICE})
@command
def rollback(c: Context, device: str) -> None:
    """Put boards back to the release before the current one."""
    deployment.rollback(device.split(","))


@task(auto_shortflags=False, help={"device": DEVICE})
@command
def remote_verify(c: Context, device: str) -> None:
    """Hash the release in use on boards again, and try it on its golden input."""
    deployment.remote_verify(device.split(","))


@task(name="status", auto_shortflags=False, help={"device": DEVICE})
@command
def device_status(c: Context, device: str) -> None:
    """Show what is in use on boards, and what else they hold."""
    deployment.status(device.split(","))


@task(name="trust", auto_shortflags=False, help={"device": "name in devices.toml"})
@command
def device_trust(c: Context, device: str) -> None:
    """Show a board's host key and, if you say so, pin it in devices.toml."""
    print(deployment.trust(device, _agreed))


def _agreed(question: str) -> bool:
    print(question, "[y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == "y"  # nobody there to ask is a no


namespace = Collection(reproduce, doctor, test, bench, inspect, deploy, rollback, remote_verify)
for verb in ("build", *plan.verbs()):
    namespace.add_task(_stage_task(verb))
namespace.add_collection(Collection(image_build, image_reproduce, image_lock), name="image")
namespace.add_collection(Collection(device_status, device_trust), name="device")
