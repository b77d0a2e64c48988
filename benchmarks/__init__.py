"""Figures for throughput, latency and cost, taken on loopback with bounded load.

Every module here that has `run() -> dict[str, object]` is a part of the bench, named like the module;
`python -m benchmarks [part…]` runs the named ones, or all.
"""
