"""Requests that name pictures: each its own, many the same, and from far away."""

from __future__ import annotations

from pathlib import Path

from bench.inputs import picture_file, text_file
from bench.instant import instant
from bench.media_world import Far, media_world
from bench.product import product
from bench.report import Row
from bench.world import Work, World, ours


def near(url: str) -> dict[str, str]:
    """Return the variables by which AWS tools reach a store that checks nothing."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def images(world: World) -> list[Row]:
    """100 KB each from a store on this machine, nothing cached."""
    return _pictures(world, "images 100 KB", 100_000, world.size(3_000, 20_000))


def large_images(world: World) -> list[Row]:
    """1 MB each."""
    return _pictures(world, "images 1 MB", 1_000_000, world.size(500, 3_000))


def huge_images(world: World) -> list[Row]:
    """5 MB each: memory is what matters."""
    return _pictures(world, "images 5 MB", 5_000_000, world.size(100, 600), has_peers=False)


def _pictures(world: World, case: str, size: int, lines: int, *, has_peers: bool = True) -> list[Row]:
    file = picture_file(world.folder / f"{size}.jsonl", lines, lines)
    with instant(picture_bytes=size) as side:
        variables = near(side.url)
        with product(world.folder / f"images-{size}", side.engine, environment=variables) as server:
            server.warm(_warming(world))
            before = side.stats()["gets"]
            outcome = server.run(server.upload(file))
            rows = [ours(case, outcome, fetches=side.stats()["gets"] - before)]
        rows.append(world.loop(case, Work(file, side.engine, variables)))
        rows.append(world.general_loop(case, Work(file, side.engine, variables)))
        short = picture_file(world.folder / "short.jsonl", world.size(300, 1_000), lines)
        if has_peers:
            rows += world.peer(
                case, "boto3 and official SDK, 64 threads", "sdk", Work(short, side.engine, variables)
            )
    return rows


def _warming(world: World) -> Path:
    return picture_file(world.folder / "warm.jsonl", 64, 64, suffix="-warm")


def dedupe(world: World) -> list[Row]:
    """Twenty requests for each picture: each is fetched once, and the rest costs what text costs.

    So it is where the engine opens files itself; otherwise each request carries its picture's bytes.
    """
    pictures = world.size(100, 500)
    file = picture_file(world.folder / "dedupe.jsonl", 20 * pictures, pictures)
    words = text_file(world.folder / "dedupe-text.jsonl", 20 * pictures)
    rows = []
    for reads_files in (False, True):
        who = "pronk" if not reads_files else "pronk, engine reads files"
        with instant(picture_bytes=100_000) as side:
            variables, folder = near(side.url), world.folder / f"dedupe-{reads_files}"
            with product(folder, side.engine, environment=variables, reads_files=reads_files) as server:
                server.warm(_warming(world))
                before = side.stats()["gets"]
                outcome = server.run(server.upload(file))
                fetches = side.stats()["gets"] - before
                plain = server.run(server.upload(words))
        figures = ours("", outcome, pictures=pictures, fetches=fetches, seconds=outcome.seconds).figures
        rows.append(Row("dedupe", who, figures))
        rows.append(Row("dedupe", f"{who}: text only", {**ours("", plain).figures, "seconds": plain.seconds}))
    return rows


def far(world: World) -> list[Row]:
    """A store 200 ms away where one object in a hundred takes 5 s more: the engine should never wait for it."""
    lines, seats = world.size(1_500, 10_000), 32
    file = picture_file(world.folder / "far.jsonl", lines, lines)
    distance = Far(
        pictures=lines, picture_bytes=100_000, latency=0.2, straggler_share=0.01, straggler_seconds=5.0
    )
    with media_world(distance) as store, instant(seats=seats, seconds=0.08) as engine:
        with product(
            world.folder / "far", engine.engine, in_flight=2 * seats, environment=store.environment()
        ) as server:
            outcome = server.run(server.upload(file))
        stats = engine.stats()
    idle = 1 - stats["busy_seconds"] / (seats * stats["seconds"])
    return [ours("media, far store", outcome, **{"engine idle %": max(0.0, 100 * idle), "seats": seats})]
