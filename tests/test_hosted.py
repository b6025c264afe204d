"""Hosted notebooks fetch the course by their first cell, and badges say where they open."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest

from piumar_lib import __version__
from tools.__main__ import main
from tools.hosted import find_repository, write_hosted
from tools.readme import describe, list_chapters, update_readme

ROOT = Path(__file__).parents[1]
MADE = {"build", "data", ".git", ".venv", ".venv-poses", ".hypothesis"}  # folders that git does not keep
LIBRARY = "import piumar_lib; print(piumar_lib.__file__)"
URLS = '[project]\nname = "course"\n[project.urls]\nRepository = "https://github.com/owner/name.git"\n'
# What stands in a cell that reads records, which lie beside the library, and how it counts them.
READING = {
    "09_evidence": ("contrasts.read(protocol.REAL", r"(\d+) trainings on record"),
    "10_costs": ("read_records(ROOT", r"(\d+) benchmarks"),
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The repository as it stands, committed and tagged."""
    folder = tmp_path_factory.mktemp("local") / "clone"
    shutil.copytree(ROOT, folder, ignore=lambda at, names: MADE & set(names) if at == str(ROOT) else ())
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    me = ["-c", "user.name=me", "-c", "user.email=me@localhost"]
    for words in (["init", "-q"], ["add", "-A"], [*me, "commit", "-qm", "All"], ["tag", "-f", "v1"]):
        subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def notebooks(clone) -> dict[str, nbformat.NotebookNode]:
    """The hosted edition that takes the course from the folder `clone`."""
    written = write_hosted(clone, str(clone), "v1")
    return {path.stem: nbformat.read(path, 4) for path in written}


@pytest.fixture
def python(tmp_path) -> Path:
    """An environment that sees all packages of this one, but not the course."""
    venv.create(tmp_path / "environment", symlinks=os.name != "nt")
    places = {"base": str(tmp_path / "environment"), "platbase": str(tmp_path / "environment")}
    site = Path(sysconfig.get_path("purelib", "venv", places))
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    return Path(sysconfig.get_path("scripts", "venv", places)) / "python"


@pytest.fixture
def outside(tmp_path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def run(python: Path, folder: Path, cells: Sequence[str], **variables: str) -> str:
    """Run cells outside the clone, and return what they print; an error ends the test."""
    variables = {"MPLBACKEND": "Agg", "PIP_NO_INDEX": "1", "PIUMR_PROFILE": "quick"} | variables
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", "\n".join(cells)],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def code(notebook: nbformat.NotebookNode, until: str) -> list[str]:
    """The code up to the first cell with these words."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    last = next(i for i, source in enumerate(cells) if until in source)
    return cells[: last + 1]


def test_first_cells_run_outside_a_clone(python, outside, notebooks, clone):
    cells = code(notebooks["00_start_here"], "spar.load_recordings")
    assert "140 recordings" in run(python, outside, cells)
    assert [path.name for path in outside.iterdir()] == ["piumr-course-v1"]
    printed = run(python, outside, [cells[0], LIBRARY])
    assert Path(printed.strip()).is_relative_to(outside / "piumr-course-v1")


@pytest.mark.parametrize("stem", READING)
def test_chapters_find_the_records_outside_a_clone(python, outside, notebooks, stem):
    words, count = READING[stem]
    cells = code(notebooks[stem], words)
    if stem == "10_costs":
        count_them = 'print(len(records), "benchmarks")'
        cells = [cells[0], cells[-1], count_them]  # what stands between measures for a while
    printed = run(python, outside, cells)
    assert int(re.search(count, printed)[1]) > 0


def test_without_the_first_cell_a_chapter_fails(python, outside, notebooks):
    cells = code(notebooks["00_start_here"], "spar.load_recordings")
    with pytest.raises(AssertionError, match="No module named 'piumar_lib'"):
        run(python, outside, cells[1:])


def test_nothing_is_fetched_where_the_course_is_at_hand(python, outside, notebooks):
    cell = notebooks["00_start_here"].cells[0].source
    printed = run(python, outside, [cell, LIBRARY], PYTHONPATH=str(ROOT), PATH="")
    assert Path(printed.strip()).is_relative_to(ROOT) and not list(outside.iterdir())


def test_another_version_gives_way(python, outside, notebooks, tmp_path):
    other = tmp_path / "other" / "piumar_lib"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = '0.0.0'\n")
    cells = [notebooks["00_start_here"].cells[0].source, LIBRARY, "print(piumar_lib.__version__)"]
    printed = run(python, outside, cells, PYTHONPATH=str(other.parent))
    assert str(outside) in printed and __version__ in printed


def test_what_was_fetched_serves_the_next_chapter(python, outside, clone):
    moved = clone.with_name("moved")
    shutil.copytree(clone, moved)
    path = write_hosted(moved, str(moved), "v1")[0]
    cells = [nbformat.read(path, 4).cells[0].source, LIBRARY]
    first = run(python, outside, cells)
    shutil.rmtree(moved)
    assert run(python, outside, cells) == first


def test_only_missing_packages_are_installed(python, outside, clone, tmp_path):
    needy = tmp_path / "needy"
    shutil.copytree(clone, needy, ignore=shutil.ignore_patterns(".git"))
    settings = (needy / "pyproject.toml").read_text()
    # Another torch and numpy than those at hand are wanted, and a package that is not here.
    settings = re.sub(r'"torch==[\d.]+"', '"torch==0.1"', settings).replace("numpy>=2.1,<3", "numpy>=99")
    (needy / "pyproject.toml").write_text(
        settings.replace("dependencies = [", 'dependencies = ["absent_one>=1",', 1)
    )
    commit(needy)
    with zipfile.ZipFile(tmp_path / "absent_one-1.0-py3-none-any.whl", "w") as wheel:
        about = "absent_one-1.0.dist-info"
        wheel.writestr("absent_one.py", "here = True\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: absent-one\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    cell = nbformat.read(write_hosted(needy, str(needy), "v1")[0], 4).cells[0].source
    run(python, outside, [cell, "import absent_one, torch"], PIP_FIND_LINKS=str(tmp_path))


@pytest.mark.parametrize("wrong", ["name", "https://example.org/a/b", "a/b/c"])
def test_a_repository_that_is_none_is_refused(wrong, tmp_path, capsys):
    (tmp_path / "pyproject.toml").touch()
    assert main(["--root", str(tmp_path), "hosted", "--repository", wrong]) != 0
    assert f"repository: {wrong!r} is neither" in capsys.readouterr().err


def test_no_repository_is_told_with_the_remedy(tmp_path, capsys):
    (tmp_path / "pyproject.toml").touch()
    assert main(["--root", str(tmp_path), "hosted", "--repository", "", "--tag", ""]) != 0
    assert "make hosted REPOSITORY=owner/name TAG=v1" in capsys.readouterr().err


@pytest.fixture
def published(tmp_path) -> Path:
    """A course of one chapter, whose address is known."""
    (tmp_path / "pyproject.toml").write_text(URLS)
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "03_temporal_alignment.py", tmp_path / "notebooks")
    parts = [f"<!-- {n}:begin -->\n<!-- {n}:end -->" for n in ("badges", "figure", "chapters", "costs")]
    (tmp_path / "README.md").write_text("\n".join(parts))
    return tmp_path


def test_badges_lead_to_the_branch_on_colab_and_to_the_tag_on_binder(published, capsys):
    assert main(["--root", str(published), "hosted", "--tag", "v7"]) == 0
    assert "1 notebooks in" in capsys.readouterr().out
    notebook = nbformat.read(published / "build/hosted/03_temporal_alignment.ipynb", 4)
    colab, binder = re.findall(r"\)\]\((.*?)\)", notebook.cells[0].source)
    colab, binder = urlsplit(colab), urlsplit(binder)
    assert colab.path == "/github/owner/name/blob/hosted-v7/03_temporal_alignment.ipynb"
    assert binder.path == "/v2/gh/owner/name/v7"
    (opened,) = parse_qs(binder.query)["urlpath"]
    assert (ROOT / opened.removeprefix("lab/tree/")).is_file()
    assert "'https://github.com/owner/name', 'v7'" in notebook.cells[1].source
    assert notebook.cells[2].source.startswith("# 03")


def test_links_of_a_hosted_chapter_lead_to_files_of_the_repository(published):
    (path,) = write_hosted(published, "owner/name", "v7")
    text = "\n".join(c.source for c in nbformat.read(path, 4).cells[2:] if c.cell_type == "markdown")
    files = re.findall(r"\]\(https://github\.com/owner/name/blob/v7/([^)#]+)", text)
    assert "notebooks/glossary.md" in files and not [f for f in files if not (ROOT / f).is_file()]
    chapters = re.findall(r"/blob/hosted-v7/(\w+)\.ipynb", text)
    assert chapters and not [c for c in chapters if not (ROOT / f"notebooks/{c}.py").is_file()]
    assert not re.findall(r"\]\((?!https:|#)[^)]*\)", re.sub("`[^`]*`", "", text))


def test_links_of_a_folder_lead_to_what_was_fetched(notebooks):
    text = "\n".join(c.source for c in notebooks["03_temporal_alignment"].cells)
    assert "](piumr-course-v1/notebooks/glossary.md#motion-energy)" in text
    assert "(09_evidence.ipynb" in text
    assert "mybinder" not in text and "colab" not in text


def test_readme_and_book_show_badges_once_the_address_is_known(published):
    update_readme(published)
    text = (published / "README.md").read_text()
    assert f"/blob/hosted-v{__version__}/00_start_here.ipynb" in text and "colab-badge.svg" in text
    (chapter,) = list_chapters(published)
    line = describe(published, chapter)
    assert "[Open in Colab](https://colab" in line and "[Launch Binder](https://mybinder" in line
    assert "![" not in line, "a page of the book shows nothing of another host"


def test_no_badge_before(published):
    (published / "pyproject.toml").write_text('[project]\nname = "course"\n')
    update_readme(published)
    (chapter,) = list_chapters(published)
    shown = (published / "README.md").read_text() + describe(published, chapter)
    assert "colab" not in shown and "binder" not in shown
    readme = (ROOT / "README.md").read_text()
    assert bool(find_repository(ROOT)) == ("mybinder.org/badge" in readme)
