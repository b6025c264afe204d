"""Write constraints.txt: what is installed of all that requirements.txt needs, directly or not.

    make lock

It records versions alone: no address and no hash, as torch's build differs by platform.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
HEAD = "# Made by `make lock` on Linux with CPython 3.11: every version that requirements.txt needs.\n"


def needed(requirement: Requirement) -> list[Requirement]:
    """What the installed distribution requires here, with the extras that are asked for.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    listed = [Requirement(text) for text in metadata.requires(requirement.name) or []]
    extras = requirement.extras | {""}
    return [r for r in listed if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)]


def locked(requirements: list[Requirement]) -> dict[str, str]:
    """Name and version of every distribution that the requirements lead to."""
    versions, seen, left = {}, set(), list(requirements)
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in seen:
            continue
        seen.add((name, *requirement.extras))
        # A local version names a build, such as +cpu, which only one index has.
        versions[name] = Version(metadata.version(name)).public
        left += needed(requirement)
    return versions


def main() -> None:
    """Write constraints.txt."""
    pins = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().split()]
    lines = [f"{name}=={version}\n" for name, version in sorted(locked(pins).items())]
    (ROOT / "constraints.txt").write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main()
