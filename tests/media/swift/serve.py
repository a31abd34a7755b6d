# mypy: ignore-errors
# ruff: noqa: E402, T201, SIM115, PTH123
"""One OpenStack Swift cluster with its S3 door in one process: ``/usr/bin/python3 serve.py FOLDER REGION PORT``.

Runs on Debian's own Python and packages (`scripts/setup-swift`), never in ours. Says ``ready`` when it answers. A request that
is signed for another region than REGION is refused as AWS refuses it.
"""

import eventlet

eventlet.monkey_patch()

import os
import sys
from pathlib import Path

import eventlet.wsgi
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.wsgi import loadapp

COMMON = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
log_name = {kind}
disable_fallocate = true
"""
STORES = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
replicator_interval = 3600
"""
PROXY = """
[pipeline:main]
pipeline = catch_errors proxy-logging cache s3api tempauth copy slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = {region}
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
"""


def main(folder: Path, region: str, port: int) -> None:
    """Serve until killed."""
    (folder / "devices" / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = s\nswift_hash_path_prefix = p\n"
    )
    utils.SWIFT_CONF_FILE = str(folder / "swift.conf")
    utils.HASH_PATH_SUFFIX, utils.HASH_PATH_PREFIX = b"s", b"p"
    for kind in ("account", "container", "object"):
        listener = eventlet.listen(("127.0.0.1", 0))
        ring(folder, kind, listener.getsockname()[1])
        serve(folder, kind, STORES, listener, region)
    serve(folder, "proxy", PROXY, eventlet.listen(("127.0.0.1", port)), region)
    print("ready", flush=True)
    while True:
        eventlet.sleep(60)


def ring(folder: Path, kind: str, port: int) -> None:
    """Write the ring of one disk."""
    builder = RingBuilder(4, 1, 1)
    place = {
        "region": 1,
        "zone": 1,
        "ip": "127.0.0.1",
        "port": port,
        "device": "disk",
        "weight": 1.0,
        "meta": "",
    }
    builder.add_dev({**place, "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


def serve(folder: Path, kind: str, text: str, listener: object, region: str) -> None:
    """Start one server."""
    path = folder / f"{kind}-server.conf"
    path.write_text((COMMON + text).format(folder=folder, kind=kind, region=region))
    app = loadapp(str(path), global_conf={"log_name": kind})
    sink = open(os.devnull, "w")
    eventlet.spawn(eventlet.wsgi.server, listener, app, log=sink)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
