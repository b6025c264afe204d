"""General utilities: atomic writes, locks, clusters, command lines, ranges of arguments."""
