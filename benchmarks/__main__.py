"""`python -m benchmarks [part…]`: run parts of the bench, show the figures, and write them to benchmarks/results."""

import importlib
import pkgutil
import sys
from collections.abc import Callable

from rich.console import Console

import benchmarks
from benchmarks.load import NoLoadMaker
from benchmarks.report import show, write

Part = Callable[[], dict[str, object]]


def parts() -> dict[str, Part]:
    """The modules of this package that can be run, by name."""
    names = [item.name for item in pkgutil.iter_modules(benchmarks.__path__) if not item.name.startswith("_")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module.run for name, module in modules.items() if hasattr(module, "run")}


def main(wanted: list[str]) -> int:
    """Run the wanted parts, or all.

    Returns:
        0; 2 when a part is unknown or cannot be measured here.
    """
    console = Console(highlight=False)
    known = parts()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        console.print(f"no part named {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    results: dict[str, dict[str, object]] = {}
    for name in wanted or known:
        console.print(f"[dim]measuring {name} …[/dim]")
        try:
            results[name] = known[name]()
        except NoLoadMaker as error:
            console.print(f"[red]{name}: {error}[/red]")
            continue
        show(console, name, results[name])
    for path in write(results) if results else ():
        console.print(f"written to {path}")
    return 0 if len(results) == len(wanted or known) else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
