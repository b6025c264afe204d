"""The edition for hosted notebooks such as Colab's: the first cell fetches the course."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from piumar_lib import __version__
from tools.editions import relink, write_chapters

TAG = f"v{__version__}"
CHAPTER = re.compile(r"(?<=\]\()(\d\d_\w+)\.ipynb")
COLAB = "https://colab.research.google.com/github/{0}/blob/hosted-{1}/{2}.ipynb"
BADGES = (
    f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({COLAB}) "
    "[![Launch Binder](https://mybinder.org/badge_logo.svg)]"
    "(https://mybinder.org/v2/gh/{0}/{1}?urlpath=lab/tree/notebooks/{2}.ipynb)"
)
PICTURE = re.compile(r"!\[([^]]*)\]\(https:[^)]*\)")  # on another host: not for the book


def fetch_course(repository: str, tag: str, version: str) -> None:
    """Make the course importable, unless it is; install packages that are missing, and no others."""
    import re
    import subprocess
    import sys
    import tomllib
    from importlib import import_module, metadata, util
    from pathlib import Path

    if util.find_spec("piumar_lib") and import_module("piumar_lib").__version__ == version:
        return
    sys.modules.pop("piumar_lib", None)
    folder = Path(f"piumr-course-{tag}").absolute()
    if not folder.exists():
        clone = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth=1"]
        subprocess.run([*clone, f"--branch={tag}", repository, folder], check=True)
    needs = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]
    missing = [n for n in needs if not any(metadata.distributions(name=re.split("[<>=]", n)[0]))]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)
    sys.path.insert(0, str(folder))


def write_hosted(root: Path, repository: str | None = None, tag: str | None = None) -> list[Path]:
    """Write all chapters to ``build/hosted/``; the branch ``hosted-TAG`` is where Colab looks for them.

    Args:
        root: Repository root.
        repository: ``owner/name`` on GitHub, or the folder of a clone; default: of `find_repository`.
        tag: Tag of the repository whose library the chapters take; default: `TAG`.

    Raises:
        ValueError: If the repository is not given, or neither of the two.
    """
    name, tag = repository or find_repository(root), tag or TAG
    public = bool(re.fullmatch(r"[\w-]+/[\w.-]+", name))
    if not public and not (name and Path(name).is_dir()):
        raise ValueError(
            f"repository: {name!r} is neither owner/name on GitHub nor the folder of a clone. Give one: "
            "make hosted REPOSITORY=owner/name TAG=v1, or set Repository in [project.urls]."
        )
    address = f"https://github.com/{name}" if public else Path(name).resolve().as_uri()
    call = f"fetch_course({address!r}, {tag!r}, {__version__!r})"
    top = new_code_cell(f"{inspect.getsource(fetch_course)}\n\n{call}", id="fetch-course")

    def change(notebook: NotebookNode, stem: str) -> None:
        relink(notebook, f"{address}/blob/{tag}" if public else f"piumr-course-{tag}")
        for cell in notebook.cells if public else ():
            cell.source = CHAPTER.sub(lambda m: COLAB.format(name, tag, m[1]), cell.source)
        line = [new_markdown_cell(BADGES.format(name, tag, stem), id="badges")] if public else []
        notebook.cells = [*line, top, *notebook.cells]

    return write_chapters(root, "hosted", change)


def find_repository(root: Path) -> str:
    """Return ``owner/name`` as ``[project.urls]`` of ``pyproject.toml`` has it; "" before it is set."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    address = project.get("urls", {}).get("Repository", "")
    return address.removeprefix("https://github.com/").removesuffix(".git").strip("/")


def badges(root: Path, stem: str = "00_start_here") -> str:
    """Return links, as badges, that open a chapter elsewhere; "" before the address is set."""
    name = find_repository(root)
    return BADGES.format(name, TAG, stem) if name else ""
