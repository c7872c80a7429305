"""How an asked request reaches its provider.

lanes            which lane answers, and how a request crosses
plan             who is asked, in order
direct           bytes passed on
upstream         the HTTP client of that
read_by_litellm  what only LiteLLM understands
origins          what browsers are told
models           the list of them, where LiteLLM is not there to make it
"""
