"""The layout's import rules, held by import-linter."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_arrows_point_downward_only() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_file_is_longer_than_a_comfortable_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "app").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_every_file_that_the_program_reads_goes_into_the_wheel() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["app"]
    packed = {path for pattern in data for path in (ROOT / "app").glob(pattern)}
    kept = {path for path in (ROOT / "app").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    left_out = {path.relative_to(ROOT) for path in kept - packed if path.suffix != ".py"}
    assert not left_out
