"""The library's architecture, measured: ``python tests/house.py``.

Folders of `piumar_lib` are called *rooms*; the method itself stands at the top. An import inside a
function or for a type alone counts like any other. Who may import whom is a table in
``CONTRIBUTING.md``.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

Graph = Mapping[str, set[str]]

METHOD = "the method"  # the room at the top
STUDY = ("evidence", "ma52")
ROW = re.compile(r"^\| `(piumar_lib[\w/]*)/` \|[^|]*\| ([^|]*) \|$", re.M)
SLIDE = re.compile(r'"slide_type": "(?:sub)?slide"')
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef


def find_modules(root: Path) -> dict[str, Path]:
    """The library's modules by their dotted names; the package itself, which has the version, not."""
    paths = {path.relative_to(root).with_suffix(""): path for path in root.glob("piumar_lib/**/*.py")}
    names = {".".join(short.parts).removesuffix(".__init__"): path for short, path in paths.items()}
    return {name: path for name, path in names.items() if name != "piumar_lib"}


@cache  # a file is asked for its imports, then for its functions, by several tests
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def find_imports(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """The modules that a file imports, wherever it does so."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{name.name}" for name in node.names}
            found |= (inside & modules.keys()) or {node.module}
    return found & modules.keys()


def draw_graph(root: Path) -> dict[str, set[str]]:
    """Each module, and those that it imports."""
    modules = find_modules(root)
    return {name: find_imports(path, modules) - {name} for name, path in modules.items()}


def room_of(module: str, modules: Mapping[str, Path]) -> str:
    """The folder of a module, dotted, or `METHOD`."""
    package = module if modules[module].stem == "__init__" else module.rpartition(".")[0]
    return package.removeprefix("piumar_lib").removeprefix(".") or METHOD


def draw_rooms(root: Path) -> dict[str, set[str]]:
    """Each room, and those that it imports from."""
    modules = find_modules(root)
    rooms: dict[str, set[str]] = {}
    for module, imported in draw_graph(root).items():
        own = room_of(module, modules)
        rooms.setdefault(own, set()).update({room_of(name, modules) for name in imported} - {own})
    return rooms


def find_chain(graph: Graph) -> list[str]:
    """The longest chain of imports; commands (``__main__``), which nothing imports, are left out.

    Raises:
        graphlib.CycleError: If files import one another in a circle; it names them.
    """
    TopologicalSorter(graph).prepare()

    @cache
    def chain_from(module: str) -> tuple[str, ...]:
        return (module, *max(map(chain_from, graph[module]), key=len, default=()))

    chains = (chain_from(module) for module in graph if not module.endswith("__main__"))
    longest = max(chains, key=len)
    return list(longest)


def read_rule(root: Path) -> dict[str, set[str]]:
    """Which rooms a room may import from, as ``CONTRIBUTING.md`` has it."""
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")

    def name(folder: str) -> str:
        return folder.strip("`/").removeprefix("piumar_lib").strip("/").replace("/", ".") or METHOD

    return {
        name(folder): {METHOD if room == METHOD else name(room) for room in allowed.split(", ") if room}
        for folder, allowed in ROW.findall(text)
    }


def find_taught(root: Path) -> set[str]:
    """What chapters 01 to 08 import by name, but for the study and the benchmark."""
    modules = find_modules(root)
    chapters = [path for path in root.glob("notebooks/0[1-8]_*.py")]
    named = set().union(*(find_imports(path, modules) for path in chapters))
    return {name for name in named if room_of(name, modules).split(".")[0] not in STUDY}


def count_lines(path: Path) -> int:
    """Lines of a file, blank ones among them."""
    return len(path.read_text(encoding="utf-8").splitlines())


def find_functions(root: Path) -> Iterator[DEFINITION]:
    """Every function and method of the library."""
    for path in find_modules(root).values():
        yield from (node for node in ast.walk(parse(path)) if isinstance(node, DEFINITION))


def function_length(function: DEFINITION) -> int:
    """Lines of a function, without its docstring."""
    documented = ast.get_docstring(function) is not None
    return _span(function) - (_span(function.body[0]) if documented else 0)


def _span(node: ast.stmt) -> int:
    """Lines from the first to the last of a statement."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def share_annotated(functions: list[DEFINITION]) -> float:
    """The share of arguments that have an annotation; ``self`` and ``cls`` need none."""
    arguments = [
        argument for f in functions
        for argument in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)
        if argument.arg not in ("self", "cls")
    ]  # fmt: skip
    return sum(argument.annotation is not None for argument in arguments) / len(arguments)


def report(root: Path) -> Iterator[str]:
    """The numbers, line by line."""
    modules = find_modules(root)
    lines: Counter[str] = Counter()
    for module, path in modules.items():
        lines[room_of(module, modules)] += count_lines(path)
    yield f"lines: {lines.total()}; " + ", ".join(f"{room} {n}" for room, n in lines.most_common())
    taught = find_taught(root)
    number = sum(count_lines(modules[name]) for name in taught)
    yield f"chapters 01 to 08 import, but for the study: {number} lines in {len(taught)} files"
    chain = find_chain(draw_graph(root))
    yield f"longest chain: {len(chain) - 1} imports; " + " > ".join(n.partition(".")[2] for n in chain)
    functions = list(find_functions(root))
    yield f"functions: {len(functions)}, median length {median(map(function_length, functions)):g} lines"
    yield f"annotated arguments: {100 * share_annotated(functions):.1f} %"
    chapters = sorted(root.glob("notebooks/[01]*.py"))
    slides = [f"{path.stem[:2]} {len(SLIDE.findall(path.read_text('utf-8')))}" for path in chapters]
    yield "slides: " + ", ".join(slides)


if __name__ == "__main__":
    print("\n".join(report(Path(__file__).parents[1])))
