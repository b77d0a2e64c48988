"""The bench as a command: what it says when it cannot measure, and what it keeps."""

import shutil
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import report
from benchmarks.load import burst


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def no_wrk() -> dict[str, object]:
    burst("http://127.0.0.1:9", [])
    return {}


def busy() -> dict[str, object]:
    raise RuntimeError("the machine is too busy [really]")


def mistaken() -> dict[str, object]:
    raise KeyError("a mistake of the bench")


def test_a_part_that_cannot_be_measured_says_why_and_the_others_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], results: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(bench, "parts", lambda: {"no_wrk": no_wrk, "busy": busy, "good": lambda: {"figure": 7}})
    assert bench.main([]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "no_wrk could not be measured: wrk, which makes the load, is not installed" in said
    assert "sudo apt-get install wrk" in said
    assert "busy could not be measured: the machine is too busy [really]" in said
    assert [path.suffix for path in sorted(results.iterdir())] == [".json", ".md"]
    assert bench.main(["good"]) == 0
    assert bench.main(["better"]) == 2
    assert "no part named better; there are: no_wrk, busy, good" in " ".join(capsys.readouterr().out.split())


def test_what_was_measured_is_kept_when_the_bench_itself_fails(monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    monkeypatch.setattr(bench, "parts", lambda: {"good": lambda: {"figure": 7}, "mistaken": mistaken})
    with pytest.raises(KeyError):
        bench.main([])
    assert len(list(results.iterdir())) == 2
