"""pip as the locks need it: the user's settings say where to look, and nothing of what is chosen.

Indexes, find-links, proxy and certificates reach pip; constraints, a target folder, a user site,
a ban on wheels and all the rest do not. They go through the environment, never on a command line:
an index's address may hold a password.

Also a program, for `scripts/bootstrap.sh`: `python pip_settings.py install ...` runs that pip.
It uses the standard library only, on any Python that pip itself supports.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

# Where to look, and how to get there; by the names and the aliases of pip's long options.
_PLACES = ("index-url", "pypi-url", "extra-index-url", "find-links", "no-index")
_WAYS = (
    *("proxy", "trusted-host", "cert", "client-cert", "keyring-provider", "cache-dir"),
    *("timeout", "default-timeout", "retries", "resume-retries"),
)
# Of pip's switches for features, those that say how a certificate is checked.
_SWITCHES = {"use-feature": "truststore", "use-deprecated": "legacy-certs"}
# What is said to pip besides: it reads no file, and does not look for a newer pip.
FIXED = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
# pip's own order: a later section replaces what an earlier one says.
_SECTIONS = ("global", "{command}", ":env:")
# `pip config list` obeys settings too: these, of a file or a variable, would have it say less.
_ALL_OF_THEM = dict.fromkeys(("PIP_USER", "PIP_GLOBAL", "PIP_SITE", "PIP_QUIET"), "0")


def command(verb: str) -> list[str]:
    """Return the command line of pip, deaf to `PYTHONPATH`, a user site and the folder it is in."""
    return [sys.executable, "-I", "-m", "pip", verb]


def environment(
    verb: str, python: str = sys.executable, *, index: str | None = None
) -> dict[str, str]:
    """Return the environment to run `pip VERB` in.

    Args:
        verb: pip's command, such as `install`; a configuration may hold settings for it alone.
        python: the interpreter whose pip is asked for its settings.
        index: the one place to look at, instead of those in the settings.

    Raises:
        ValueError: pip cannot read its own configuration; the text is pip's.
    """
    settings = _settings(_listed(python), verb)
    if index is not None:
        settings = {name: value for name, value in settings.items() if name not in _PLACES}
        settings["index-url"] = index
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    passed = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in settings.items()}
    return {**clean, **passed, **FIXED}


def looks_nowhere_else(verb: str) -> bool:
    """Tell whether the settings forbid pip to ask any index."""
    value = _settings(_listed(sys.executable), verb).get("no-index", "")
    return value.lower() in ("1", "true", "yes", "on", "y", "t")


def _listed(python: str) -> dict[str, str]:
    """Return every setting that pip finds in its files and its variables, by section and name."""
    argv = [python, "-I", "-m", "pip", "config", "list"]
    surroundings = {**os.environ, **_ALL_OF_THEM}
    done = subprocess.run(argv, env=surroundings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError((done.stdout + done.stderr).strip())
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: str(ast.literal_eval(value)) for name, _, value in pairs if value}


def _settings(listed: Mapping[str, str], verb: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for section in (name.format(command=verb) for name in _SECTIONS):
        for name, value in listed.items():
            if name.startswith(f"{section}."):
                settings[name[len(section) + 1 :]] = value
    passed = ((name, _passed_on(name, value)) for name, value in settings.items())
    return {name: value for name, value in passed if value}


def _passed_on(name: str, value: str) -> str:
    """Return what of a setting reaches pip, empty where nothing does."""
    if name in _SWITCHES:
        return " ".join(word for word in value.split() if word == _SWITCHES[name])
    return value if name in (*_PLACES, *_WAYS) else ""


def main(argv: Sequence[str]) -> None:
    """Become pip, with these settings."""
    try:
        settings = environment(argv[0])
    except ValueError as error:
        sys.exit(f"pip's configuration cannot be read: {error}")
    os.execve(sys.executable, [*command(argv[0]), *argv[1:]], settings)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
