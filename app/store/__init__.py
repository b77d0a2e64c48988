"""The store: the only package that speaks Redis.

`Store` runs scripts, `keys` names every key, `connect` finds the server (standalone, Sentinel, cluster),
`embedded` brings one along.
"""

from app.store.scripts import Script, load_scripts
from app.store.store import Call, Store

__all__ = ["Call", "Script", "Store", "load_scripts"]
