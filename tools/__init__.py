"""Runs and publishes the chapters: execution, pairs, editions, slides, the book."""

import sys

# jsonschema, which nbformat needs, takes 3 seconds for it at import: grammars of addresses that no
# notebook holds. Without this package it leaves them unchecked.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # the stub lacks None: blocked
