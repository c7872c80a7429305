"""Whom TLS believes."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

import certifi


@cache
def trusted() -> ssl.SSLContext:
    """As LiteLLM has it: ``SSL_VERIFY`` (a file, or false), ``SSL_CERT_FILE``, else Mozilla's list; with the ciphers of
    ``SSL_SECURITY_LEVEL`` and the curve of ``SSL_ECDH_CURVE``."""
    verify = os.environ.get("SSL_VERIFY", "")
    given = (each for each in (verify, os.environ.get("SSL_CERT_FILE", "")) if each and Path(each).exists())
    context = ssl.create_default_context(cafile=next(given, None) or certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    if ciphers := os.environ.get("SSL_SECURITY_LEVEL"):
        context.set_ciphers(ciphers)
    if curve := os.environ.get("SSL_ECDH_CURVE"):
        context.set_ecdh_curve(curve)
    if verify.strip().lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
