"""What LiteLLM's extra `proxy` brings and a gateway never imports: no environment gets it, neither ours nor a runtime.

The extra `litellm` of pyproject.toml is `proxy` without these.
"""

from __future__ import annotations

from typing import Final

LEFT_OUT: Final = {
    "granian": "another server: the gateway's workers are uvicorn's",
    "gunicorn": "another server",
    "inquirerpy": "asks questions in LiteLLM's own command line",
    "litellm-enterprise": "proprietary",
    "litellm-proxy-extras": "migrations of a database mode that is not used",
    "polars": "180 MB, for exports to FinOps services",
    "pyroscope-io": "a profiler that sends to a service",
    "rq": "imported nowhere",
    "tomlkit": "edits other tools' settings in LiteLLM's own command line",
}
