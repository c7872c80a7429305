"""The HTTP client of the direct lane.

ask        what is asked, and how long is waited for it
failed     how it can fail
client     the client itself
"""
