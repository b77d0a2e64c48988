"""Pages and program say the same: metrics, routes, errors; and the pages hang together."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from app import errors
from app.errors import ConfigError, TurnedAway
from app.rooms.gate import GateBypass, RoomGate
from app.rooms.look import RoomLook
from app.rooms.settings import RoomSettings
from app.services import Services
from app.settings import Settings
from app.web.app import OPERATIONS
from app.web.operations import plain_path
from app.web.problems import STATUS_BY_KIND
from tests.support.apps import running_app
from tests.support.settings_page import ALL
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "adr"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]


def _prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)


def _links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where a page's links into this repository lead: the file, and the heading's anchor or nothing."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", _prose(page)):
        path, _, anchor = target.partition("#")
        yield (page.parent / path).resolve() if path else page, anchor


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


async def test_every_metric_is_documented_once_and_every_documented_metric_exists(settings: Settings) -> None:
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot)
        await client.get("/serving")
        exposed = _metric_names(services)
    documented = re.findall(r"^\| `(stanchion_\w+)`", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    assert sorted(exposed) == sorted(documented)


def _metric_names(services: Services) -> set[str]:
    names = set()
    for family in services.metrics.registry.collect():
        if family.name.startswith("stanchion_"):
            names.add(family.name + ("_total" if family.type == "counter" else ""))
    return names


def test_the_page_on_the_api_has_every_route_with_its_methods_and_no_other() -> None:
    documented = set()
    for row in re.findall(r"^\| (`[A-Z]+.*?) \|", (DOCS / "http-api.md").read_text(), re.MULTILINE):
        methods: list[str] = []
        for method, path in re.findall(r"`([A-Z]+)(?: (/[^`]*))?`", row):
            methods.append(method)
            if path:
                documented |= {(each, path) for each in methods}
                methods = []
    routes = {(operation.method, plain_path(operation.path)): operation.hidden for operation in OPERATIONS}
    assert {route for route, hidden in routes.items() if not hidden} <= documented <= routes.keys()


def test_the_page_on_the_api_has_every_error_with_its_status() -> None:
    documented = {
        name: int(status)
        for names, status in re.findall(
            r"^\| (`[a-z].*?) \| (\d{3}) \|", (DOCS / "http-api.md").read_text(), re.MULTILINE
        )
        for name in re.findall(r"`([a-z-]+)`", names)
    }
    assert documented == STATUS_BY_KIND
    kinds = {error.kind for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)}
    assert kinds - {ConfigError.kind, TurnedAway.kind} == documented.keys(), "the one is no answer, the other's varies"


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target, anchor in _links(page):
            assert target.exists(), f"{page.name} links to {target}, which is not there"
            assert not anchor or anchor in _anchors(target), f"{page.name} links to #{anchor} of {target.name}"


def test_links_lead_from_the_readme_to_every_page() -> None:
    reached, next_ones = set(), [ROOT / "README.md"]
    while next_ones:
        page = next_ones.pop()
        reached.add(page)
        next_ones += [target for target, _ in _links(page) if target.suffix == ".md" and target not in reached]
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_table_has_its_head_and_every_row_as_many_cells(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", row))) for row in table.splitlines()]
        assert len(cells) > 2 and re.match(r"\|[ :|-]+\|$", table.splitlines()[1]), f"no head:\n{table}"
        assert len(set(cells)) == 1, f"uneven:\n{table}"


def test_every_picture_says_what_it_shows_and_can_be_made_anew() -> None:
    pictures = [found for page in PAGES for found in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text())]
    assert {Path(path).name for _, path in pictures} == {path.name for path in (DOCS / "images").iterdir()}
    assert all(len(text) > 30 for text, _ in pictures)
    makers = "".join(maker.read_text() for maker in (ROOT / "tests" / "browser").glob("*pictures.py"))
    assert {Path(path).name for _, path in pictures} == set(re.findall(r"IMAGES / \"([^\"]+)\"", makers))


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_variables_metrics_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    elsewhere = (
        (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text() + "SECURE_PROXY_SSL_HEADER"
    )
    known = {name.upper() + ending for name in ALL for ending in ("", "_FILE")}
    named = set(re.findall(r"(?<![A-Z_$])[A-Z]{2,}(?:_[A-Z]+)+\b", text)) - known
    assert not {name for name in named if name not in elsewhere}
    metrics = (DOCS / "metrics.md").read_text()
    assert all(name in metrics for name in re.findall(r"\bstanchion_\w+", text))
    for path in re.findall(r"`((?:app|tests|docs|k8s)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path


def test_decisions_are_numbered_without_a_gap_and_stand_in_their_index() -> None:
    pages = sorted(DECISIONS.glob("0*.md"))
    index = []
    for number, page in enumerate(pages, 1):
        head = page.read_text().splitlines()[0]
        assert page.name.startswith(f"{number:04}-")
        assert head.startswith(f"# {number}. ")
        index.append(f"{number}. [{head.partition('. ')[2]}]({page.name})")
    assert re.findall(r"^\d+\..*$", (DECISIONS / "README.md").read_text(), re.MULTILINE) == index


@pytest.mark.parametrize(
    ("page", "heading", "model"),
    [
        ("rooms.md", "## Settings", RoomSettings),
        ("gate.md", "## Settings", RoomGate),
        ("waiting-page.md", "## A room's look", RoomLook),
    ],
    ids=["rooms", "gate", "look"],
)
def test_a_room_setting_is_on_its_page_and_its_default_is_right(
    page: str, heading: str, model: type[BaseModel]
) -> None:
    section = (DOCS / page).read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    documented = {name: default for names, default in rows for name in re.findall(r"`([\w.]+)`", names)}
    settings = dict(_flattened(model))
    assert documented.keys() == settings.keys()
    for name, default in settings.items():
        if isinstance(default, bool | int | float | str) and not re.search(r"[a-z] [a-z]", documented[name]):
            assert str(default).lower().removesuffix(".0") in documented[name].lower(), name


def _flattened(model: type[BaseModel]) -> Iterator[tuple[str, object]]:
    """A model's settings by name with their defaults; the members of `bypass` by dotted names, as the pages have them."""
    for field in model.model_fields.values():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, GateBypass):
            yield from ((f"{field.alias}.{name}", default) for name, default in _flattened(inner))
        else:
            yield str(field.alias), field.default
