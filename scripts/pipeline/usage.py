"""What is wrong with a command line, where Invoke cannot read it: said with the nearest name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from invoke.exceptions import ParseError
from invoke.parser import ParserContext

from scripts.errors import UsageError
from scripts.words import nearest

_UNKNOWN = re.compile(r"No idea what '(.*)' is!", re.DOTALL)
_NO_VALUE = re.compile(r"Flag <Argument: (\S+).*> needed value", re.DOTALL)
_MISSING = re.compile(r"'(.*)' did not receive required positional arguments: (.*)")
HELP = ("--help", "-h")


def named(error: ParseError, tasks: Iterable[str]) -> UsageError:
    """Return the error of ours for what Invoke's parser says; `tasks` are the tasks there are."""
    context: ParserContext | None = error.context
    task = (context and context.name) or ""
    text = str(error)
    if match := _UNKNOWN.match(text):
        return _unknown(match[1], task, context.flags if context and task else (), tasks)
    if match := _NO_VALUE.match(text):
        flag = "--" + match[1].replace("_", "-")
        return UsageError(f"{flag} needs a value.", remedy=f"{flag} VALUE; {_help(task)}")
    if match := _MISSING.match(text):
        names = match[2].replace("'", "").replace("_", "-").upper()
        return UsageError(f"{match[1]} needs {names}.", remedy=_help(match[1]))
    return UsageError(text, remedy=_help(task))


def asked_for_help(words: list[str]) -> str:
    """Return the task whose help is asked for behind its name, as in `build --model x --help`."""
    own = words[: words.index("--")] if "--" in words else words
    return own[0] if any(word in HELP for word in own[1:]) else ""


def _unknown(word: str, task: str, flags: Iterable[str], tasks: Iterable[str]) -> UsageError:
    if not word.startswith("-"):
        if not task:
            remedy = f"{nearest(word, tasks)}`invoke --list`"
            return UsageError(f"There is no task {word!r}.", remedy=remedy)
        return UsageError(
            f"{task}: what is {word!r}?",
            cause="an option that is there twice, or a value with a space that is not quoted",
            remedy=_help(task),
        )
    where = f"{task} has" if task else "invoke itself has"
    remedy = nearest(word.partition("=")[0], (flag for flag in flags if len(flag) > 2))
    return UsageError(f"{where} no option {word}.", remedy=remedy + _help(task))


def _help(task: str) -> str:
    return f"`invoke {task} --help` lists its options" if task else "`invoke --list` lists tasks"
