"""constraints.txt holds every version that requirements.txt leads to, and nothing else."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# Elsewhere other distributions are needed, too (colorama on Windows, say).
HERE = sys.platform == "linux" and sys.version_info[:2] == (3, 11)
pytestmark = pytest.mark.skipif(not HERE, reason="the lock is made on Linux with CPython 3.11")


def read(name: str) -> dict[str, str]:
    """Versions by canonical name."""
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def asked(name: str, extras: set[str]) -> list[Requirement]:
    """What an installed distribution asks for here, alone and with these extras."""
    listed = [Requirement(text) for text in metadata.requires(name) or []]
    wanted = extras | {""}
    return [r for r in listed if not r.marker or any(r.marker.evaluate({"extra": e}) for e in wanted)]


@pytest.fixture(scope="module")
def lock() -> dict[str, str]:
    return read("constraints.txt")


@pytest.fixture(scope="module")
def needs(lock) -> dict[str, dict[str, SpecifierSet]]:
    """By name: what it asks for, with the extras that others want of it."""
    extras = {name: set() for name in lock}
    for requirement in [r for name in lock for r in asked(name, set())]:
        extras.setdefault(canonicalize_name(requirement.name), set()).update(requirement.extras)
    lists = {name: asked(name, extras[name]) for name in lock}
    return {name: {canonicalize_name(r.name): r.specifier for r in lists[name]} for name in lock}


def test_lock_holds_the_pins_of_requirements(lock):
    pins = read("requirements.txt")
    assert {name: lock.get(name) for name in pins} == pins


def test_whatever_a_locked_distribution_needs_is_locked_too(lock, needs):
    missing = {name: set(needs[name]) - set(lock) for name in lock}
    assert not {name: left for name, left in missing.items() if left}


def test_nothing_else_is_locked(lock, needs):
    wanted = set(read("requirements.txt")).union(*needs.values())
    assert not set(lock) - wanted


def test_locked_versions_suit_whoever_asks_for_them(needs, lock):
    refused = [
        (name, other)
        for name in lock
        for other, specifier in needs[name].items()
        if other in lock and not specifier.contains(lock[other], prereleases=True)
    ]
    assert not refused


def test_locked_versions_are_the_installed_ones(lock):
    # A build of its own, such as 2.13.0+cpu, counts as the version that it builds.
    installed = {name: metadata.version(name).partition("+")[0] for name in lock}
    assert installed == lock, "make lock"


def test_lock_names_no_address_no_hash_and_no_build():
    text = (ROOT / "constraints.txt").read_text()
    assert not [sign for sign in ("://", "--", "+", "@") if sign in text]
