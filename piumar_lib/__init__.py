"""PIUmr-course: what the chapters build, as a library.

Heavy things are imported where they are used, so that ``import piumar_lib`` stays instant.
"""

__version__ = "0.1.0"
