"""What every task shares: options out of one place, levels of output, and errors said in words.

The body of a task takes the console, the checked request if it `takes` options of a build, and its
own parameters. Its command line is a signature put together from those.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import Parameter
from typing import Any

from invoke import Context, Exit, ParseError, Program, Task
from invoke.parser import ParserContext
from invoke.parser.context import to_flag

from scripts import console, errors, streams
from scripts.pipeline import environment, interruption, options, request, usage
from scripts.pipeline.options import Option, Text, flag, option
from scripts.words import shown

# As of a program that the signal SIGPIPE ended.
UNREAD = 141


@dataclass(frozen=True)
class Output:
    """How much is said, and to whom."""

    quiet: bool = option(
        False, "print the result alone; of a step that fails, its last lines on stderr"
    )
    verbose: bool = option(
        False, "say what each step, or each board, runs too, and where an error comes from"
    )
    json: bool = option(False, "print the result as JSON on stdout, and everything else on stderr")


BUILD = options.of(request.Request)
OUTPUT = options.of(Output)
LEVELS = ("quiet", "verbose")


def command(
    *,
    takes: Iterable[str] = (),
    defaults: Mapping[str, str] | None = None,
    several: bool = False,
    output: Iterable[str] = LEVELS,
    help: Mapping[str, str] | None = None,
    name: str | None = None,
    text: str = "",
) -> Callable[[Callable[..., None]], Task[Any, Any]]:
    """Make a task of a function.

    Args:
        takes: options of a build; the body gets a checked request as its second argument.
        several: whether it takes several precisions; the body gets a list of requests.
        defaults: defaults that differ from those of a build.
        output: which of quiet, verbose and json the task has.
        help: a line on each parameter of the body's own.
        name: the task's name, where it is not the function's.
        text: what the task does, where the function's docstring does not say it.
    """
    other = defaults or {}
    taken = [replace(BUILD[key], default=other.get(key, BUILD[key].default)) for key in takes]
    shared = {entry.name: entry for entry in (*taken, *(OUTPUT[key] for key in output))}

    def task(body: Callable[..., None]) -> Task[Any, Any]:
        check = request.each if several else request.make
        run = _running(body, [entry.name for entry in taken], check)
        run.__doc__ = text or body.__doc__
        run.__signature__ = _signature(body, shared.values())  # type: ignore[attr-defined]
        lines = {key: entry.summary for key, entry in shared.items()}
        return Task(run, name=name, help={**(help or {}), **lines}, auto_shortflags=False)

    return task


def _help_in_order(context: ParserContext) -> list[tuple[str, str | None]]:
    """Stand in for Invoke's own, which sorts by alphabet and offers no other order."""
    names = [str(argument.name) for argument in context.args.values()]
    lines = ((name, *context.help_for(to_flag(name))) for name in names)
    return [(flags.replace("STRING", _metavar(name)), text) for name, flags, text in lines]


# What stands for the value of a parameter that a task has for itself.
_OWN = {
    "archive": "FILE",
    "inputs": "DIRS",
    "signers": "FILE",
    "out": "FILE",
    "only": "PATH",
    "device": "NAMES",
    "keep_days": "DAYS",
    "max_size": "SIZE",
    "file": "FILE",
    "jobs": "NUMBER",
    "scheduler": "ADDRESS",
    "hosts": "FILE",
}


def _metavar(name: str) -> str:
    return BUILD[name].metavar if name in BUILD else _OWN.get(name, "TEXT")


ParserContext.help_tuples = _help_in_order  # type: ignore[method-assign]


def _read_in_words(read: Callable[[Program], None]) -> Callable[[Program], None]:
    """Wrap a step of Invoke that reads the command line: what it cannot read is our error."""

    @functools.wraps(read)
    def step(program: Program) -> None:
        try:
            read(program)
        except ParseError as error:
            levels = {name: True for name in OUTPUT if f"--{name}" in sys.argv}
            with _errors_in_words(), console.opened(**levels):
                raise usage.named(error, program.collection.task_names) from None

    return step


def _tasks_or_help(program: Program) -> None:
    """Read the tasks; `--help` behind a task is a wish for help, whatever else stands there.

    Invoke takes it for the value of a positional argument, or of an option before it.
    """
    if task := usage.asked_for_help(program.core.unparsed):
        program.core[0].args["help"].value = task
        program.core.unparsed = []
    _parse_tasks(program)


def _until_closed(show: Callable[..., None]) -> Callable[..., None]:
    """Wrap what prints help: who reads it, `head` for one, may have seen enough."""

    @functools.wraps(show)
    def shown(*arguments: Any) -> None:
        with _errors_in_words():
            show(*arguments)
            sys.stdout.flush()

    return shown


for _name in ("print_help", "print_task_help", "list_tasks"):
    setattr(Program, _name, _until_closed(getattr(Program, _name)))
_parse_tasks = Program.parse_tasks
Program.parse_tasks = _read_in_words(_tasks_or_help)  # type: ignore[method-assign, assignment]
Program.parse_cleanup = _read_in_words(  # type: ignore[method-assign, assignment]
    Program.parse_cleanup
)


def _signature(body: Callable[..., None], shared: Iterable[Option]) -> inspect.Signature:
    own = [
        parameter
        for parameter in inspect.signature(body).parameters.values()
        if parameter.name not in ("console", "request", "requests")
    ]
    kind = Parameter.POSITIONAL_OR_KEYWORD
    context = Parameter("c", kind, annotation=Context)
    added = [Parameter(entry.name, kind, default=entry.standing) for entry in shared]
    return inspect.Signature([context, *own, *added])


def _running(
    body: Callable[..., None], taken: Sequence[str], check: Callable[..., Any]
) -> Callable[..., None]:
    """Return the function that Invoke calls: it opens the console and checks the request."""

    @functools.wraps(body)
    def run(c: Context, **texts: Any) -> None:
        levels = {name: texts.pop(name) for name in OUTPUT if name in texts}
        with _errors_in_words(), interruption.as_ctrl_c(), console.opened(**levels) as opened:
            _check_pairs({**texts, **levels})
            environment.require()
            texts = {name: text for name, text in texts.items() if text is not None}
            for name, text in texts.items():
                _check_text(name, text)
            build = {name: texts.pop(name) for name in taken if name in texts}
            checked = [check(**build)] if taken else []
            body(opened, *checked, **texts)

    return run


def _check_pairs(values: Mapping[str, Any]) -> None:
    for first, second in (("quiet", "verbose"), ("json", "markdown")):
        if values.get(first) and values.get(second):
            raise errors.UsageError(
                f"--{first} and --{second} contradict each other.", remedy="leave one of them out"
            )


def _check_text(name: str, text: Text) -> None:
    """Refuse the value of an option that cannot be meant: no path or name is empty."""
    if not isinstance(text, str):
        return
    if not text.strip():
        raise errors.UsageError(
            f"{flag(name)} has an empty value.",
            cause="a variable of the shell that is not set",
            remedy=f"give it a value, or leave {flag(name)} out",
        )
    if text.startswith("--"):  # Invoke takes the next word, whatever it is
        raise errors.UsageError(
            f"{flag(name)} has the value {text}, which looks like an option.",
            cause="a misspelt option, or a value that was left out",
            remedy=f"{flag(name)} VALUE; a file of such a name is ./{text}",
        )


@contextmanager
def _errors_in_words() -> Iterator[None]:
    """End the program without a traceback where a user or the engine caused an error."""
    streams.require()
    try:
        yield
    except BrokenPipeError:  # who reads, `head` for one, has seen enough
        streams.drop(sys.stdout)
        raise Exit(code=UNREAD) from None
    except KeyboardInterrupt:
        raise Exit(errors.INTERRUPTION, code=errors.INTERRUPTED) from None
    except Exception as error:
        if (named := errors.named(error)) is None:
            raise
        raise Exit(f"error: {shown(str(named), lines=True)}", code=named.exit_code) from error
