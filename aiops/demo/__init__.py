"""Providers to try things on: a real llama.cpp server with a tiny random model, and a controllable double."""
