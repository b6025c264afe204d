"""Running, checking and publishing chapters, tried on chapters made for the purpose."""

from __future__ import annotations

import base64
import errno
import inspect
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from PIL import Image

from piumar_lib.notebook import PLAN, Profile, assert_same, fixed_figure, show, show_table, start
from piumar_lib.notebook.plan import arrange
from piumar_lib.notebook.profile import STYLE
from tools import run
from tools.__main__ import _parser as course_parser
from tools.__main__ import main
from tools.chapters import (
    check_parameters,
    find_root,
    list_chapters,
    read_parameters,
    to_notebook,
)
from tools.pairs import check_pair, clean, make_pairs, shrink
from tools.readme import ANIMATION, update_readme
from tools.run import build_path, execute, run_chapters, widget_errors

ALT = "A line that rises from zero to one, as an example."
MARKERS = "\n".join(
    f"<!-- {name}:{end} -->"
    for name in ("badges", "figure", "chapters", "costs")
    for end in ("begin", "end")
)
DOT = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
        "gg=="
    )
).decode()

HEAD = """# %% [markdown]
# # {number} · {title}
#
# What does it answer?

# %% tags=["parameters"]
profile = "quick"
seeds = 2
rate = 0.5
note = "a=b"
"""


def write_chapter(root, name, *cells, head=HEAD):
    number, _, title = name.partition("_")
    path = root / "notebooks" / f"{name}.py"
    text = head.format(number=number, title=title.capitalize()) + "".join(
        f"\n# %%{cell}\n" for cell in cells
    )
    path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("PIUMR_PROFILE", raising=False)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text(f"# Course\n\n{MARKERS}\n\nThe rest.\n")
    return tmp_path


def put_executed(root, chapter_path, place="pair", outputs=()):
    """Write what an execution would have left, without a kernel."""
    notebook = to_notebook(chapter_path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    code[-1].outputs = [nbformat.from_dict(output) for output in outputs]
    (chapter,) = list_chapters(root, [chapter_path.stem])
    nbformat.write(notebook, chapter.pair if place == "pair" else build_path(root, chapter))
    return chapter


def png(alt=ALT):
    metadata = {"image/png": {"alt": alt, "width": 440}} if alt else {}
    data = {"image/png": DOT, "text/plain": "<Figure>"}
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


# Profiles and figures


def test_start_prints_one_line_and_sets_the_style(capsys, monkeypatch):
    monkeypatch.delenv("PIUMR_PROFILE", raising=False)
    state = torch.get_rng_state()
    with plt.rc_context():
        assert start("full") == Profile("full", "cpu")
        assert not plt.rcParams["axes.spines.top"]
    assert torch.equal(state, torch.get_rng_state())
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "profile full" in line and "cpu" in line and torch.__version__ in line
    with plt.rc_context():
        start("quick")
    assert "of profile full: yours will differ" in capsys.readouterr().out


def test_environment_overrides_the_profile_and_says_so(capsys, monkeypatch):
    monkeypatch.setenv("PIUMR_PROFILE", "full")
    assert start("quick").name == "full"
    assert "from PIUMR_PROFILE" in capsys.readouterr().out
    monkeypatch.setenv("PIUMR_PROFILE", "fast")
    with pytest.raises(ValueError, match="PIUMR_PROFILE: 'fast' .* quick, full, gpu"):
        start("quick")


def test_unknown_profile_is_refused(monkeypatch):
    monkeypatch.delenv("PIUMR_PROFILE", raising=False)
    with pytest.raises(ValueError, match="profile: 'slow' is not a profile. Use one of quick"):
        start("slow")


def test_gpu_is_refused_without_one_and_chosen_with_one(monkeypatch):
    monkeypatch.delenv("PIUMR_PROFILE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="no CUDA device. Use 'full'"):
        start("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert start("gpu").device == "cuda"
    assert start("full").device == "cpu"


def test_pick_falls_back_from_gpu_to_full():
    assert Profile("quick", "cpu").pick(quick=1, full=2, gpu=3) == 1
    assert Profile("full", "cpu").pick(quick=1, full=2, gpu=3) == 2
    assert Profile("gpu", "cuda").pick(quick=1, full=2, gpu=3) == 3
    assert Profile("gpu", "cuda").pick(quick=1, full=2) == 2
    assert Profile("gpu", "cuda").pick(quick=1, full=2, gpu=0) == 0


def test_show_displays_one_image_with_alt_text_and_closes_the_figure(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    with plt.style.context(STYLE):
        fig = plt.figure(figsize=(7, 3))
        show(fig, alt=f"  {ALT}\n")
    (image,) = shown
    assert image.alt == ALT and image.data.startswith(b"\x89PNG")
    assert Image.open(io.BytesIO(image.data)).size == (1540, 660)  # shown half as wide
    assert image._repr_mimebundle_()[1]["image/png"] == {"alt": ALT, "width": 770}
    assert not plt.fignum_exists(fig.number)


def test_a_fixed_figure_has_its_margins_in_inches():
    fig, axes = fixed_figure(8, 4, columns=2, right=1)
    left, right = (ax.get_position() for ax in axes)
    assert fig.get_layout_engine() is None
    assert (8 * left.x0, 4 * left.y0) == pytest.approx((0.85, 0.5))
    assert (8 * right.x1, 4 * right.y1) == pytest.approx((7, 3.65))
    plt.close(fig)


def test_show_refuses_an_alt_text_that_says_nothing():
    with pytest.raises(ValueError, match="alt: 'A plot' has fewer than 30 characters"):
        show(plt.figure(), alt="A plot")
    plt.close("all")


def test_show_table_aligns_and_rounds_numbers(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    show_table(["method", "accuracy"], [["ERM", 76.72], ["TFAM", 3]])
    expected = "| method | accuracy |\n| --- | ---: |\n| ERM | 76.7 |\n| TFAM | 3 |"
    assert shown[0].data == expected
    show_table(["", "gain", "because"], [["a", "+1.2 [0.3, 2.1]", "of 3"], ["b", "-", "5"]])
    assert shown[1].data.splitlines()[1] == "| --- | ---: | --- |"
    with pytest.raises(ValueError, match="rows: 1 entries for 2 columns"):
        show_table(["method", "accuracy"], [["ERM"]])


def test_plan_refers_to_earlier_steps_only():
    for position, step in enumerate(PLAN):
        assert set(step.needs) <= {earlier.number for earlier in PLAN[:position]}
    written = list_chapters(find_root())
    assert [(step.stem, step.title) for step in PLAN] == [(one.stem, one.title) for one in written]


def test_a_chapter_stands_to_the_right_of_what_it_builds_on():
    place = arrange()
    assert all(place[need][0] < place[step.number][0] for step in PLAN for need in step.needs)
    assert place["00"] == (0, 0) and len({*place.values()}) == len(PLAN)
    assert place["02"][1] == -place["01"][1] > 0  # a column of two is centred, the first one on top
    without = arrange([step for step in PLAN if step.number != "00"])
    assert without["01"][0] == 0 and without["03"][0] == 1


def test_peak_memory_is_read_where_there_is_no_resource(monkeypatch, capsys):
    memory = SimpleNamespace(peak_wset=3 * 2**20)
    process = SimpleNamespace(Process=lambda: SimpleNamespace(memory_info=lambda: memory))
    monkeypatch.setitem(sys.modules, "psutil", process)
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(Path, "exists", lambda _: False)
    exec(run.PEAK_MB, {})
    assert capsys.readouterr().out == "3.0\n"


def test_a_chapters_state_changes_with_everything_in_the_library(root):
    chapter = list_chapters(root, [write_chapter(root, "01_first", "\n1").stem])[0]
    style = root / "piumar_lib" / "notebook" / "a.mplstyle"
    style.parent.mkdir(parents=True)
    states = []
    for text in ("one", "two"):
        style.write_text(text)
        states.append(run.fingerprint(root, chapter, "quick"))
    assert len({*states}) == 2


# Chapters as files


def test_chapters_are_found_in_order_with_title_and_question(root):
    write_chapter(root, "02_second")
    write_chapter(root, "01_first")
    first, second = list_chapters(root)
    assert (first.number, first.title, first.question) == ("01", "First", "What does it answer?")
    assert [c.stem for c in list_chapters(root, ["02"])] == [second.stem]
    with pytest.raises(ValueError, match="only: no chapter 09. There are: 01_first, 02_second"):
        list_chapters(root, ["09"])


def test_no_chapter_or_no_question_is_an_error(root):
    with pytest.raises(ValueError, match="holds no chapter"):
        list_chapters(root)
    write_chapter(root, "01_first", head="# %% [markdown]\n# # Title only\n")
    with pytest.raises(ValueError, match="one sentence with the chapter's question"):
        list_chapters(root)


def test_root_is_found_from_below(root, tmp_path_factory):
    assert find_root(root / "notebooks") == root.resolve()
    with pytest.raises(FileNotFoundError, match="--root"):
        find_root(tmp_path_factory.mktemp("elsewhere"))


def test_conversion_is_deterministic(root):
    path = write_chapter(root, "01_first", "\n1 + 1")
    assert to_notebook(path) == to_notebook(path)
    assert [cell.id for cell in to_notebook(path).cells][:2] == ["01_first-000", "01_first-001"]


def test_parameters_are_read_even_with_an_equals_sign_inside(root):
    parameters = read_parameters(to_notebook(write_chapter(root, "01_first")))
    assert parameters == {"profile": "quick", "seeds": 2, "rate": 0.5, "note": "a=b"}


@pytest.mark.parametrize("line", ["twice = 2 * seeds", "print(1)", "import os", "a, b = 1, 2"])
def test_parameters_cell_takes_literals_only(root, line):
    path = write_chapter(root, "01_first", head=HEAD + line + "\n")
    with pytest.raises(ValueError, match="is not 'name = literal'"):
        read_parameters(to_notebook(path), "01_first")


@pytest.mark.parametrize("extra", [' tags=["parameters"]\na = 1', None])
def test_exactly_one_parameters_cell(root, extra):
    head = HEAD if extra else HEAD.replace("parameters", "other")
    path = write_chapter(root, "01_first", *([extra] if extra else []), head=head)
    with pytest.raises(ValueError, match="Exactly one must"):
        read_parameters(to_notebook(path))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": 3}, "seed: .* Did you mean 'seeds'\\? It has: profile, seeds"),
        ({"x": 3}, "x: chapter has no such parameter. It has"),
        ({"seeds": "many"}, "seeds: 'many' is str, but chapter expects int"),
        ({"seeds": True}, "seeds: True is bool"),
    ],
)
def test_unfit_parameters_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_parameters(given, {"profile": "quick", "seeds": 2, "rate": 0.5})


def test_whole_numbers_pass_for_fractions():
    check_parameters({"rate": 1, "any": "x"}, {"rate": 0.5, "any": None})


# Running


def test_a_failing_chapter_is_reported_and_the_others_still_run(root, capsys):
    write_chapter(root, "01_bad", "\nprint('before')", "\nvalue = 1\nraise KeyError('lost')", "\n3")
    write_chapter(root, "02_good", "\nprint(profile)")
    assert main(["--root", str(root), "run", "--record"]) == 1
    report = capsys.readouterr().out
    assert "01_bad failed: cell 3 (value = 1):" in report
    assert "KeyError: 'lost'" in report and "\x1b" not in report
    half_run = root / "build/notebooks/01_bad.ipynb"
    assert str(half_run) in report
    assert nbformat.read(half_run, 4).cells[2].outputs[0].text == "before\n"
    record = json.loads((root / "notebooks/results/chapters.json").read_text())
    assert list(record["chapters"]) == ["02_good"]
    assert 10 < record["chapters"]["02_good"]["peak_mb"] < 1000
    assert record["commit"] and "torch" in record["versions"] and "command" not in record


def test_an_error_inside_a_widget_is_a_failure(root, capsys):
    cell = """
from ipywidgets import interact
def draw(x=1):
    raise ValueError('hidden in the widget')
interact(draw);"""
    write_chapter(root, "01_widget", cell)
    (outcome,) = run_chapters(root)
    assert "hidden in the widget" in outcome.error
    assert len(widget_errors(nbformat.read(outcome.notebook, 4))) == 1
    assert "01_widget failed: inside a widget" in capsys.readouterr().out


def test_a_chapter_runs_again_only_if_something_it_depends_on_has_changed(root, monkeypatch, capsys):
    chapter = write_chapter(root, "01_first", "\nprint(profile)")
    library, record = root / "piumar_lib" / "new.py", root / "notebooks" / "results" / "new.jsonl"
    for path in (library, record):
        path.parent.mkdir(parents=True, exist_ok=True)

    def ran(**options) -> bool:
        (outcome,) = run_chapters(root, **options)
        assert not outcome.error and 10 < outcome.peak_mb < 1000
        assert ("unchanged" in capsys.readouterr().out) == outcome.kept
        return not outcome.kept

    assert ran() and not ran()
    monkeypatch.setattr(run, "execute", lambda *_: (100.0, ""))  # from now on it only counts
    assert ran(again=True) and ran(record=True)
    for change in (
        lambda: library.write_text("A = 1\n"),
        lambda: record.write_text("{}\n"),
        lambda: chapter.write_text(chapter.read_text().replace("print(profile)", "print(profile, 2)")),
        lambda: build_path(root, list_chapters(root)[0]).write_text("{"),
    ):
        change()
        assert ran()
    assert not ran() and ran(profile="full")


MEET = """
import time
from pathlib import Path
from types import SimpleNamespace
Path("../{own}").touch()
begin = time.monotonic()
while not Path("../{other}").exists():
    time.sleep(0.1)
    assert time.monotonic() < begin + 100, "the other chapter does not run"
"""


def test_chapters_run_side_by_side_but_for_those_that_must_not(root, capsys):
    write_chapter(root, "01_first", MEET.format(own="first", other="made"))
    write_chapter(root, "02_bad", "\nraise KeyError('lost')")
    after = "\nfrom pathlib import Path\nassert Path('../{}').exists()\nPath('../{}').touch()"
    write_chapter(root, "10_alone", after.format("taken", "measured"))
    making = "\ntime.sleep(1)\nPath('../whole').touch()"
    write_chapter(root, "11_makes", MEET.format(own="made", other="first"), making)
    write_chapter(root, "12_takes", after.format("whole", "taken"))
    outcomes = run_chapters(root, workers=2)
    assert [o.name for o in outcomes] == ["01_first", "02_bad", "10_alone", "11_makes", "12_takes"]
    assert [o.name for o in outcomes if o.error] == ["02_bad"] and "lost" in outcomes[1].error
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].startswith("10_alone") and "02_bad failed: cell" in "\n".join(lines[5:])
    (again, *kept) = sorted(run_chapters(root, workers=2), key=lambda outcome: outcome.kept)
    assert again.name == "02_bad" and all(outcome.kept for outcome in kept)


def test_a_failed_chapter_runs_again(root):
    write_chapter(root, "01_bad", "\nraise KeyError('lost')")
    for _ in range(2):
        (outcome,) = run_chapters(root)
        assert outcome.error and not outcome.kept


def test_a_kernel_whose_ports_are_taken_starts_again(root, monkeypatch):
    notebook, started = to_notebook(write_chapter(root, "01_first", "\nprint(profile)")), []
    start = NotebookClient.start_new_kernel

    def unlucky(client, **settings):
        started.append(client)
        if len(started) != 3:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return start(client, **settings)

    monkeypatch.setattr(NotebookClient, "start_new_kernel", unlucky)
    assert execute(notebook, root)[1] == "" and len(started) == 3
    with pytest.raises(RuntimeError, match="died"):
        execute(notebook, root)
    assert len(started) == 6


def test_a_dead_kernel_and_a_slow_cell_are_failures(root):
    dead = to_notebook(write_chapter(root, "01_dead", "\nimport os\nos._exit(1)"))
    peak, error = execute(dead, root)
    assert peak != peak and "Kernel died" in error
    slow = to_notebook(write_chapter(root, "01_slow", "\nimport time\ntime.sleep(60)"))
    assert "timed out" in execute(slow, root, timeout=1)[1].lower()


def test_run_refuses_an_unknown_profile(root):
    with pytest.raises(ValueError, match="profile: 'slow' is unknown"):
        run_chapters(root, profile="slow")


def test_notebooks_are_written_afresh(root, capsys):
    write_chapter(root, "01_first")
    stale = root / "build/notebooks/09_gone.ipynb"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert main(["--root", str(root), "notebooks"]) == 0
    assert [path.name for path in stale.parent.iterdir()] == ["01_first.ipynb"]


def test_papermill_runs_with_parameters_and_in_the_notebooks_folder(root):
    write_chapter(root, "01_first", "\nimport os\nprint(seeds, note, os.getcwd()[-9:])")
    out = root / "build/out.ipynb"
    parameters = ["-p", "seeds", "7", "-p", "note", "hi"]
    assert main(["--root", str(root), "papermill", "01", str(out), *parameters]) == 0
    texts = [o.text for c in nbformat.read(out, 4).cells for o in c.get("outputs", [])]
    assert texts == ["7 hi notebooks\n"]


@pytest.mark.parametrize("python", ["/no/python", shutil.which("false")], ids=["gone", "no kernel"])
def test_an_installed_kernel_that_is_no_good_is_in_nobodys_way(root, monkeypatch, python):
    installed = root / "jupyter/kernels/python3/kernel.json"
    installed.parent.mkdir(parents=True)
    installed.write_text(json.dumps({"argv": [python, "{connection_file}"], "display_name": "x"}))
    monkeypatch.setenv("JUPYTER_PATH", str(root / "jupyter"))
    assert KernelSpecManager().get_kernel_spec("python3").argv[0] == python
    write_chapter(root, "01_first", "\nimport sys\nprint(sys.executable)")
    out = root / "out.ipynb"
    assert main(["--root", str(root), "run"]) == 0
    assert main(["--root", str(root), "papermill", "01", str(out), "-p", "seeds", "7"]) == 0
    for path in (root / "build/notebooks/01_first.ipynb", out):
        assert nbformat.read(path, 4).cells[-1].outputs[0].text == f"{sys.executable}\n"


def test_papermill_finds_files_from_the_current_folder(root, monkeypatch):
    head = HEAD + "".join(f'{name} = ""\n' for name in ("mine", "both", "word", "none"))
    write_chapter(root, "01_first", "\nprint(mine, both, word, none)", head=head)
    monkeypatch.chdir(root)
    for path in ("mine.npz", "word", "both.txt", "notebooks/both.txt"):
        (root / path).touch()
    given = {"mine": "mine.npz", "both": "both.txt", "word": "word", "none": "none.npz"}
    out = ["01", "out.ipynb", *(part for pair in given.items() for part in ("-p", *pair))]
    assert main(["papermill", *out]) == 0
    said = nbformat.read("out.ipynb", 4).cells[-1].outputs[0].text
    assert said == f"{root / 'mine.npz'} both.txt word none.npz\n"


def test_papermill_refuses_what_the_chapter_does_not_know(root, capsys):
    write_chapter(root, "01_first", "\n1 / (seeds - 2)")
    out = root / "out.ipynb"
    assert main(["--root", str(root), "papermill", "01", str(out), "-p", "seed", "7"]) == 1
    assert "Did you mean 'seeds'?" in capsys.readouterr().err
    assert not out.exists()
    assert main(["--root", str(root), "papermill", "01", str(out)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-1e-3", "-1", "-.5", "-2.5E+4"])
def test_negative_numbers_are_values_of_parameters(value):
    given = course_parser().parse_args(["papermill", "01", "out.ipynb", "-p", "rate", value])
    assert given.parameters == [["rate", value]] and run.read_value(value) == float(value)


def test_a_tilde_in_papermills_output_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert course_parser().parse_args(["papermill", "01", "~/out.ipynb"]).output == Path(
        "/home/ann/out.ipynb"
    )


# Where nothing may be written


WRITERS = ("student", "solutions", "notebooks", "run", "slides", "book", "papermill 01 build/x.ipynb")


@pytest.mark.parametrize("arguments", WRITERS)
def test_a_course_that_may_only_be_read_says_so_in_one_line(root, capsys, monkeypatch, arguments):
    write_chapter(root, "01_first")
    (root / "README.md").write_text("# Course\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr(run, "execute", lambda *_: pytest.fail("took time"))

    def refuse(path, *_, **__):  # root may write anywhere, so take the right away from everybody
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert main(["--root", str(root), *arguments.split()]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert "build" in said.err and "cannot be written, permission denied. Choose another" in said.err
    assert "copy the course into a folder of your own" in said.err and "Errno" not in said.err


def test_chapters_do_not_run_if_their_notebooks_cannot_be_written(root, monkeypatch, capsys):
    write_chapter(root, "01_first")
    monkeypatch.setattr(run, "execute", lambda *_: pytest.fail("took time"))

    def refuse(*_, dir):
        raise OSError(errno.EROFS, "Read-only file system", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    for command in ("run", "pairs"):
        assert main(["--root", str(root), command]) == 1
        assert "notebooks: cannot be written, the disk is read-only" in capsys.readouterr().err


def test_a_folder_is_no_output_of_papermill(root, capsys):
    write_chapter(root, "01_first", "\n1 / 0")
    assert main(["--root", str(root), "papermill", "01", str(root)]) == 1
    assert capsys.readouterr().err == f"error: {root}: is a folder. Name a file.\n"


def test_a_damaged_notebook_is_named(root, capsys):
    chapter = list_chapters(write_chapter(root, "01_first").parents[1])[0]
    for content in ("", "{}", "[]", '{"nbformat": 4, "nbformat_minor": 5}'):
        chapter.pair.write_text(content)
        assert main(["--root", str(root), "pairs", "--check"]) == 1
        assert "01_first.ipynb: is no notebook, or damaged. Delete it" in capsys.readouterr().err


# Pairs


def test_pairs_are_executed_in_full_and_hold_no_widgets(root):
    cells = [
        "\nimport os\nprint(os.environ['PIUMR_PROFILE'])",
        "\nimport ipywidgets\nipywidgets.IntSlider()",
        "\nimport matplotlib.pyplot as plt\nfrom piumar_lib.notebook import show\n"
        f"show(plt.figure(), alt='{ALT}')",
    ]
    write_chapter(root, "01_first", *cells)
    assert main(["--root", str(root), "pairs"]) == 0
    (chapter,) = list_chapters(root)
    notebook = nbformat.read(chapter.pair, 4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    printed, slider, figure = (cell.outputs for cell in notebook.cells[2:])
    pieces = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("a\n", "b\n")]
    notebook.cells[2].outputs = pieces
    assert [output.text for output in clean(notebook).cells[2].outputs] == ["a\nb\n"]
    assert printed[0].text == "full\n" and slider == []
    assert figure[0].metadata["image/png"] == {"alt": ALT, "width": 704}
    assert read_png(figure[0].data["image/png"]).mode == "P"
    assert main(["--root", str(root), "pairs", "--check"]) == 0


def read_png(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_a_shrunk_figure_looks_the_same():
    drawn = io.BytesIO()
    fig, ax = plt.subplots()
    ax.imshow(np.arange(100.0).reshape(10, 10), cmap="cividis")
    fig.savefig(drawn, format="png")
    plt.close(fig)
    large = base64.b64encode(drawn.getvalue()).decode()
    small = shrink(large)
    before, after = (np.asarray(read_png(p).convert("RGB"), int) for p in (large, small))
    assert np.abs(before - after).mean() < 0.5 and (after[0, 0] == 255).all()
    assert len(small) < len(large)


def test_a_failing_chapter_makes_no_pair(root):
    path = write_chapter(root, "01_first", "\nraise KeyError('lost')")
    with pytest.raises(RuntimeError, match="01_first failed: cell 2"):
        make_pairs(root)
    assert not path.with_suffix(".ipynb").exists()


def spoil_source(notebook):
    notebook.cells[-1].source = "2 + 2"


def spoil_length(notebook):
    del notebook.cells[-1]


def spoil_tags(notebook):
    notebook.cells[1].metadata.tags = []


def spoil_slide_type(notebook):
    notebook.cells[0].metadata.slideshow = {"slide_type": "skip"}


def spoil_order(notebook):
    notebook.cells[-1].execution_count = 9


def spoil_widgets(notebook):
    notebook.metadata.widgets = {}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_source, "cell 2 differs from the source"),
        (spoil_length, "it has 2 cells, the source 3"),
        (spoil_tags, "the tags of cell 1 differ"),
        (spoil_slide_type, "the tags of cell 0 differ"),
        (spoil_order, "not executed once each, from top to bottom"),
        (spoil_widgets, "holds widget state"),
    ],
)
def test_a_spoiled_pair_is_found(root, spoil, message):
    chapter = put_executed(root, write_chapter(root, "01_first", "\n1 + 1"))
    check_pair(chapter)
    notebook = nbformat.read(chapter.pair, 4)
    spoil(notebook)
    nbformat.write(notebook, chapter.pair)
    with pytest.raises(ValueError, match=f"01_first.ipynb: .*{message}.*pairs --only 01"):
        check_pair(chapter)


WIDGET = {"application/vnd.jupyter.widget-view+json": {}}
ERROR = {"output_type": "error", "ename": "KeyError", "evalue": "", "traceback": []}


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (ERROR, "ended in KeyError"),
        ({"output_type": "display_data", "data": WIDGET, "metadata": {}}, "holds a widget view"),
        (png(alt=""), "a figure without alt text"),
        (stream("saved in /home/somebody/x.npz"), "prints the local path /home/somebody/x.npz"),
        (stream("x" * 700_000), "KB is over 600 KB"),
    ],
)
def test_an_unfit_output_is_found(root, output, message):
    chapter = put_executed(root, write_chapter(root, "01_first", "\n1 + 1"), outputs=[output])
    with pytest.raises(ValueError, match=message):
        check_pair(chapter)


def test_a_pair_follows_prose_and_tags_but_not_code(root, capsys):
    path = write_chapter(root, "01_first", "\n1 + 1")
    chapter = put_executed(root, path, outputs=[stream("2")])
    path.write_text(path.read_text().replace("What does it answer?", "Why?\n\n# %% [markdown]\n# So?")
                    .replace("# %%\n1 + 1", '# %% tags=["hide-input"]\n1 + 1'))  # fmt: skip
    assert main(["--root", str(root), "pairs", "--check"]) == 1
    assert main(["--root", str(root), "pairs", "--sync"]) == 0
    notebook = nbformat.read(chapter.pair, 4)
    assert [cell.source for cell in notebook.cells[:2]] == ["# 01 · First\n\nWhy?", "So?"]
    assert notebook.cells[-1].metadata.tags == ["hide-input"]
    assert notebook.cells[-1].outputs[0].text == "2"
    path.write_text(path.read_text().replace("1 + 1", "2 + 2"))
    before = chapter.pair.read_bytes()
    capsys.readouterr()
    assert main(["--root", str(root), "pairs", "--sync"]) == 1
    assert "its code is not the source's. Execute it: " in capsys.readouterr().err
    assert chapter.pair.read_bytes() == before


def test_a_missing_pair_and_the_repository_path_are_found(root, capsys):
    path = write_chapter(root, "01_first", "\n1 + 1")
    assert main(["--root", str(root), "pairs", "--check"]) == 1
    assert "the executed pair is missing" in capsys.readouterr().err
    chapter = put_executed(root, path, outputs=[stream(f"in {root.resolve()}")])
    with pytest.raises(ValueError, match="prints the local path"):
        check_pair(chapter)


# Ours against the library's


def test_agreement_is_in_value_gradient_and_random_numbers(capsys):
    x = torch.randn(4, 3, dtype=torch.double)
    assert_same(lambda x: x**2, lambda x: x * x, x)
    assert "equal in value (4, 3) and in gradient" in capsys.readouterr().out
    assert_same(lambda x: x + torch.randn(4, 3), lambda x: torch.randn(4, 3) + x, x)
    assert_same(torch.fft.rfft, lambda x: torch.fft.rfft(2 * x) / 2, x)


def test_another_value_or_gradient_is_noticed():
    x = torch.randn(4, dtype=torch.double)
    with pytest.raises(AssertionError):
        assert_same(lambda x: x, lambda x: x + 1e-3, x)
    with pytest.raises(AssertionError):
        assert_same(lambda x: x, lambda x: x.detach() + 0 * x, x)


# The table of the README


def test_readme_table_shows_the_chapters(root, capsys):
    write_chapter(root, "01_person_shift")
    assert main(["--root", str(root), "readme", "--check"]) == 1
    assert "Run: make readme" in capsys.readouterr().err
    assert main(["--root", str(root), "readme"]) == 0
    text = (root / "README.md").read_text()
    row = "| 01 | [Person_shift](notebooks/01_person_shift.ipynb) | What does it answer? |  |  |"
    assert row in text and text.endswith("The rest.\n")
    assert not update_readme(root, check=True)
    costs = {"01_person_shift": {"seconds": 12.3, "peak_mb": 400}}
    (root / "notebooks/results").mkdir()
    record = {"machine": "2 cores", "profile": "quick", "chapters": costs}
    (root / "notebooks/results/chapters.json").write_text(json.dumps(record))
    assert update_readme(root)
    assert "| 12 s | 400 MB |" in (root / "README.md").read_text()


def test_readme_opens_with_an_animation_and_its_still_twin(root):
    write_chapter(root, "01_first", "\n1")
    assert update_readme(root)
    text = (root / "README.md").read_text()
    for ending in ("gif", "png"):
        assert f'="notebooks/pictures/{ANIMATION}.{ending}"' in text


def test_readme_quotes_costs_of_the_device_measured_last(root):
    write_chapter(root, "01_first")
    rows = [
        ("plan and gradient, 16 x 8", 5.11, 2, "CPU"),
        ("plan and gradient, 32 x 16", 3.04, 2, "CPU"),
        ("plan and gradient, 16 x 8, another", 9.9, None, "CPU"),
        ("exact plan", 40, 100, "CPU"),
        ("exact plan", 123.4, 100, "GPU"),
        ("read from the mp4 cache", None, 20, "GPU"),
    ]
    (root / "notebooks/results").mkdir()
    with (root / "notebooks/results/benchmarks.jsonl").open("w") as file:
        for what, ratio, goal, device in rows:
            record = {"what": what, "ratio": ratio, "goal": goal, "device": device}
            file.write(json.dumps(record) + "\n")
    assert update_readme(root)
    text = " ".join((root / "README.md").read_text().split())
    assert "are 3 to 5.1 times as fast" in text and "is 123 times as fast as POT" in text
    assert "PIUmr adds" not in text and "decord" not in text
    assert text.index("Measured on CPU: Sinkhorn's") < text.index("Measured on GPU: The exact plan")


def test_readme_without_markers_is_refused(root):
    write_chapter(root, "01_first")
    (root / "README.md").write_text("# Course\n")
    with pytest.raises(ValueError, match="needs one line"):
        update_readme(root)


# The command


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    for command in ("run", "notebooks", "pairs", "book", "readme", "papermill"):
        assert command in listed


def test_every_command_calls_a_function_that_takes_its_options():
    (commands,) = (action.choices for action in course_parser()._actions if action.choices)
    assert len(commands) > 10
    for name, command in commands.items():
        function = resolve_name(f"tools.{command.get_default('place')}")
        options = {action.dest for action in command._actions} | command._defaults.keys()
        taken = inspect.signature(function).parameters.keys()
        assert options - {"help", "place", "tell"} <= taken - {"root"}, name


def test_root_option_defaults_to_the_repository(root, monkeypatch, capsys):
    write_chapter(root, "01_first")
    monkeypatch.chdir(root / "notebooks")
    assert main(["notebooks"]) == 0
    assert (root / "build/notebooks/01_first.ipynb").exists()
    shutil.rmtree(root / "build")
