"""The composition root: the only place that constructs things and opens them in order.

Three ways to run the same parts: `serve` (API, engines and worker processes), `work` (one worker process) and `run` (one batch in
this process, no server). Each is imported by itself, so that a worker does not load the API.
"""
