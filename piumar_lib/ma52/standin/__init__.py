"""The stand-in for MA-52: synthetic people on video, in the files and folders of the original."""

from piumar_lib.ma52.standin.videos import Plan, plan, write

__all__ = ["Plan", "plan", "write"]
