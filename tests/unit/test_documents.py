"""Pages and program say the same: metrics, routes."""

import re
from pathlib import Path

from app.services import Services
from app.settings import Settings
from app.web.app import OPERATIONS
from app.web.operations import plain_path
from tests.support.apps import running_app
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


async def test_every_metric_is_documented_and_every_documented_metric_exists(settings: Settings) -> None:
    async with running_app(settings) as (client, services):
        await eventually(lambda: services.has_snapshot)
        await client.get("/serving")
        exposed = _metric_names(services)
    documented = set(re.findall(r"^\| `(stanchion_\w+)`", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    assert exposed == documented


def _metric_names(services: Services) -> set[str]:
    names = set()
    for family in services.metrics.registry.collect():
        if family.name.startswith("stanchion_"):
            names.add(family.name + ("_total" if family.type == "counter" else ""))
    return names


def test_every_route_is_documented() -> None:
    pages = "\n".join(page.read_text() for page in DOCS.glob("*.md"))
    undocumented = {
        plain_path(operation.path)
        for operation in OPERATIONS
        if not operation.hidden and plain_path(operation.path) not in pages
    }
    assert not undocumented


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *DOCS.glob("**/*.md")]:
        prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
