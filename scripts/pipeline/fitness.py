"""Whether a network can become a context of a board at all, told before any work."""

from __future__ import annotations

from scripts import catalog
from scripts.errors import UsageError
from scripts.pipeline.request import Request

# The HTP has addresses of 32 bits, and a context is mapped as a whole.
LARGEST_CONTEXT = 2**32


def misfit(request: Request) -> str:
    """Return why the request's network cannot be a context, nothing where it can.

    A context holds every weight once: its size is at least parameters x bits / 8.
    """
    model, precision, target = request.model, request.precision, request.target
    if precision.name in target.lacks:
        return f"{target.description}, cannot compute {precision.name}."
    needed = model.parameters * precision.weights // 8
    if needed < LARGEST_CONTEXT:
        return ""
    return (
        f"{model.name} in {precision.name} needs {needed / 1e9:.1f} GB for its weights alone, "
        f"and a context of the HTP has at most {LARGEST_CONTEXT / 1e9:.1f} GB (32-bit addresses)."
    )


def require(request: Request) -> None:
    """Refuse a network that cannot be a context of the target.

    Raises:
        UsageError: the target lacks the precision, or the weights are beyond the HTP's address
            space.
    """
    if reason := misfit(request):
        raise UsageError(reason, remedy=remedy(request))


def remedy(request: Request) -> str:
    """Return the way out for a network that cannot be a context."""
    lacks = request.target.lacks
    if request.precision.name in lacks:
        others = [name for name in catalog.precisions() if name not in lacks]
        return f"choose --precision {' or '.join(others)}"
    return "choose a smaller model; `invoke export` works all the same"
