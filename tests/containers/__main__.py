"""`make containers`: build the image, bring docker-compose.yml up under a name of its own, try it, take it down.

make containers                                        with any engine that has or can pull the base images
make containers ARGS="--build-network host"            where only the host's network reaches a package index
make containers ARGS="--no-build --keep"               with the image as it is; leave everything up afterwards
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

from app import __version__
from tests.containers.engine import Project, build, engine_is_there
from tests.containers.trial import STEPS, Trial
from tests.support.servers import free_port


def main() -> int:
    """Run the steps; 0 when all held, 1 at the first that did not, 2 without an engine."""
    parser = argparse.ArgumentParser(prog="make containers")
    parser.add_argument("--no-build", action="store_true", help="use the image as it is")
    parser.add_argument("--build-network", help="the network of the build's RUN steps")
    parser.add_argument("--keep", action="store_true", help="leave the containers and the volume behind")
    parser.add_argument("--net", default="10.83.81", help="first three numbers of the trial's network")
    options = parser.parse_args()
    if not engine_is_there():
        print("make containers: no container engine answers (`docker info` fails); start one first.", file=sys.stderr)
        return 2
    image = f"stanchion:{__version__}"
    if not options.no_build:
        _step("the image is built", lambda: build(image, options.build_network))
    project = Project(
        "stanchion-trial", free_port(), options.net, WINDOW_SIZE="5", WINDOW_INTERVAL="1", OPEN_ROUTES="tasks,locks"
    )
    project.down(volumes=True)
    try:
        trial = Trial(image, project)
        for step in STEPS:
            _step(step.__name__.replace("_", " "), partial(step, trial))
    except Exception as error:
        telling = [line for line in project.logs().splitlines() if " 200 " not in line]
        print("\n".join([*telling[-40:], f"FAILED {type(error).__name__} {error}"]), file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            project.down(volumes=True)
    print(f"all {len(STEPS)} steps held")
    return 0


def _step(name: str, do: Callable[[], str]) -> None:
    started_s = time.monotonic()
    said = do()
    print(f"ok  {name} ({time.monotonic() - started_s:.0f} s)\n    {said}", flush=True)


sys.exit(main())
