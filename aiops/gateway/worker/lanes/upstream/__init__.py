"""The HTTP client of the direct lane: aiohttp, set as this lane needs it (docs/decisions/0041).

ask, failed  what is asked, and how it fails
client       the client: `Upstream`
answer       what comes back
connector    which connection is used
target       where a URL leads, and through which proxy
trust        whom TLS believes
"""
