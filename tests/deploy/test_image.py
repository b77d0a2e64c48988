"""The Dockerfile: small, pinned, without root, and true to the settings and the packages."""

import re
import tomllib
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.settings import load_settings
from app.web.app import OPERATIONS
from tests.deploy.files import EXACT_TAG, ROOT, SETTING_NAMES, image_environment, instructions

PYTHONS_OWN = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_shipped_stage_is_built_from_an_exact_base_and_another_stage() -> None:
    (default,) = instructions("ARG")
    assert EXACT_TAG.match(default.removeprefix("PYTHON_IMAGE="))
    assert instructions("FROM") == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    assert all(copy.startswith("--from=build ") for copy in instructions("COPY", last_stage=True))


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    (user,) = instructions("USER", last_stage=True)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)


def test_what_the_image_sets_are_settings_that_load() -> None:
    environment = image_environment()
    assert set(environment) - PYTHONS_OWN <= SETTING_NAMES
    settings = load_settings({name: value for name, value in environment.items() if name in SETTING_NAMES})
    assert settings.host == "0.0.0.0"
    assert instructions("EXPOSE") == [str(settings.port)]


def test_the_health_check_asks_a_path_that_exists() -> None:
    (check,) = instructions("HEALTHCHECK")
    (path,) = re.findall(r"c\.request\('GET', '([^']+)'\)", check)
    assert ("GET", path) in {(operation.method, operation.path) for operation in OPERATIONS}


def test_the_builder_is_sent_what_it_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {part for copy in instructions("COPY") if "--from" not in copy for part in copy.split()[:-1]}
    assert sent == copied
    assert all((ROOT / part).exists() for part in copied)


def test_the_image_pins_every_package_that_is_asked_for_within_its_range() -> None:
    data = _pyproject()
    pins: dict[str, str] = {}
    for line in data["dependency-groups"]["image"]:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        pins[canonicalize_name(requirement.name)] = specifier.version
    linux = {**{name: str(value) for name, value in default_environment().items()}, "sys_platform": "linux"}
    for line in data["project"]["dependencies"]:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate(linux):
            version = pins.get(canonicalize_name(wanted.name))
            assert version is not None, f"{wanted.name} has no pin: run `make pins`"
            assert wanted.specifier.contains(version), f"{wanted.name}=={version} is out of range: run `make pins`"


def test_every_file_that_the_package_needs_besides_python_is_shipped() -> None:
    patterns = _pyproject()["tool"]["setuptools"]["package-data"]["app"]
    shipped = {path for pattern in patterns for path in (ROOT / "app").glob(pattern)}
    files = [path for path in (ROOT / "app").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    forgotten = [path for path in files if path.suffix != ".py" and path not in shipped]
    assert not forgotten, "an installed package would lack these"
