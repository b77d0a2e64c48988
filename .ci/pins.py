"""Write the exact versions that the image is built from into pyproject.toml's dependency group `image`.

`make pins` runs it: pip resolves pyproject's ranges afresh, and what it would install is written down.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ONLY_SOMETIMES = {"async-timeout": "python_full_version < '3.11.3'"}
"""Needed by redis-py on the first releases of Python 3.11, so unseen by a newer Python's resolver."""


def latest(requirement: str) -> list[tuple[str, str]]:
    """Name and version of everything that pip would install for `requirement`."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    report = subprocess.run([*command, "--report", "-", requirement], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found = [item["metadata"] for item in json.loads(report.stdout)["install"]]
    return [(item["name"].lower(), item["version"]) for item in found if item["name"] != "stanchion"]


def main() -> None:
    """Replace the group's lines."""
    pins = [f'    "{name}=={version}",' for name, version in latest(".")]
    for name, marker in ONLY_SOMETIMES.items():
        pins += [f'    "{found}=={version}; {marker}",' for found, version in latest(name) if found == name]
    path = ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    group = "\n".join(["image = [", *sorted(pins), "]"])
    path.write_text(
        re.sub(r"^image = \[\n.*?^\]", lambda _: group, text, flags=re.DOTALL | re.MULTILINE), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
