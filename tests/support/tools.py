"""Programs that some tests need besides Python: found, or left out and said so, or, with REQUIRE_TOOLS, demanded."""

import os
import shutil

NAMES = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "node": ("node", "nodejs")}
PACKAGES = {"chromium": "chromium", "node": "nodejs"}


def find(tool: str) -> str | None:
    """The path of a tool, under any of its names."""
    return next(filter(None, map(shutil.which, NAMES[tool])), None)


def missing() -> list[str]:
    """Tools whose tests are left out on this machine; none where `REQUIRE_TOOLS` is set, so that those tests fail."""
    return [] if "REQUIRE_TOOLS" in os.environ else [tool for tool in NAMES if find(tool) is None]
