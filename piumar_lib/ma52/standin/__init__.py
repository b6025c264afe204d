"""The stand-in for MA-52: videos of synthetic people, in the original's files and folders."""

from piumar_lib.ma52.standin.videos import Plan, plan, write

__all__ = ["Plan", "plan", "write"]
