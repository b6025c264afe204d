"""Runs and publishes the chapters: execution, pairs, editions, slides, the book."""
