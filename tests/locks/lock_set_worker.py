"""One worker of the lock-set test, as a process: takes a short lease, reads, thinks, writes, and never looks back.

It checks nothing by itself: that its writes are safe although it may freeze anywhere is the fence's doing.
"""

import sys
import time
import uuid
from pathlib import Path

import httpx
import redis

READ = """
local seen = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0')
if tonumber(ARGV[1]) < seen then return false end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
return redis.call('HGET', KEYS[1], 'value') or ''
"""
WRITE = """
if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'fence') or '0') then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'value', ARGV[2])
return 1
"""


def main(url: str, resource_port: int, enough: Path) -> None:
    """Work until there is a file `enough`."""
    resource = redis.Redis(port=resource_port, decode_responses=True, socket_timeout=60)
    http = httpx.Client(timeout=60)
    while not enough.exists():
        taken = http.post(f"{url}/locks/lock-set", json={"leaseMs": 300, "waitMs": 20_000})
        if taken.status_code != 201:
            continue
        grant = taken.json()
        value = resource.eval(READ, 1, "lock-set", grant["fence"])
        print("holding", flush=True)
        time.sleep(0.01)
        item = uuid.uuid4().hex[:8]
        if value is None:
            print("refused", item, flush=True)
        else:
            written = resource.eval(WRITE, 1, "lock-set", grant["fence"], f"{value} {item}")
            print("written" if written else "refused", item, flush=True)
        http.delete(f"{url}/locks/lock-set", headers={"X-Lock-Token": grant["token"]})


main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
