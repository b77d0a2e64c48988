"""`python -m benchmarks [part…]`: run parts of the bench, show the figures, and write them to benchmarks/results."""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable

from rich.console import Console

import benchmarks
from benchmarks.load import NoLoadMaker
from benchmarks.report import show, write

Part = Callable[[], dict[str, object]]

CANNOT = (NoLoadMaker, RuntimeError, OSError, subprocess.SubprocessError)
"""A program is missing, the machine is too busy, or something did not start: no mistake of the bench."""


def parts() -> dict[str, Part]:
    """The modules of this package that can be run, by name."""
    names = [item.name for item in pkgutil.iter_modules(benchmarks.__path__) if not item.name.startswith("_")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module.run for name, module in modules.items() if hasattr(module, "run")}


def _why(error: Exception) -> str:
    """The error in a line, with what a program that failed had to say."""
    said = getattr(error, "stderr", None)
    last = said.strip().splitlines()[-1:] if isinstance(said, str) else []
    return "; ".join([str(error) or type(error).__name__, *last])


def main(wanted: list[str]) -> int:
    """Run the wanted parts, or all.

    Returns:
        0; 2 when a part is unknown or cannot be measured here, or failed: the figures of the others are kept.
    """
    console = Console(highlight=False)
    if not sys.platform.startswith("linux"):
        console.print("the bench reads what processes cost from /proc: it runs on Linux only")
        return 2
    known = parts()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        console.print(f"no part named {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    results: dict[str, dict[str, object]] = {}
    try:
        for name in wanted or known:
            console.print(f"[dim]measuring {name} …[/dim]")
            try:
                results[name] = known[name]()
            except CANNOT as error:
                console.print(f"{name} could not be measured: {_why(error)}", style="red", markup=False)
                continue
            show(console, name, results[name])
    finally:  # also when the run is broken off: what was measured took its time
        for path in write(results) if results else ():
            console.print(f"written to {path}")
    return 0 if len(results) == len(wanted or known) else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
