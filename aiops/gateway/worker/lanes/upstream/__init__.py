"""The HTTP client of the direct lane: HTTP/1.1 as llhttp reads it, on the worker's own event loop.

ask, failed      what is asked, and how it fails
client           the client: `Upstream`
target, connect  where a URL leads, and how a connection is opened
pool             the connections of one origin, and which of them is used
connection       one of them
answer           what it brings, between it and whoever reads
"""
