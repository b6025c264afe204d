"""Every chapter's widget in a running JupyterLab, turned with the keyboard in headless Chromium.

A chapter runs as far as its widget: "Run All Cells", as a reader would. Skipped without Chromium. One
chapter stands for all in `make test`, where test_chapters.py looks for errors inside each widget.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from slow import slow_but

from tools.chapters import list_chapters, to_notebook

ROOT = Path(__file__).parents[1]
# Milliseconds from a key to the new figure, median. About 100 on a quiet machine; here browser, kernel
# and a second process of tests share two cores, which may be slow ones.
SLOWEST = 1000
WIDGET = re.compile(r"^interact\(", re.M)
NOTEBOOKS = {chapter.stem: to_notebook(chapter.path) for chapter in list_chapters(ROOT)}
CHAPTERS = {
    stem: notebook
    for stem, notebook in NOTEBOOKS.items()
    if any(WIDGET.search(cell.source) for cell in notebook.cells)
}
# Resolves to the milliseconds from the next key to the moment at which the figure differs.
WATCH = """() => {
    const picture = () => document.querySelector(".widget-interact img")?.src;
    const before = picture();
    window.answer = new Promise((resolve) => {
        document.addEventListener("keydown", () => {
            const pressed = performance.now();
            const look = () => {
                const now = picture();
                if (now && now !== before) resolve(performance.now() - pressed);
                else if (performance.now() - pressed > 5000) resolve(null);
                else requestAnimationFrame(look);
            };
            look();
        }, {once: true, capture: true});
    });
}"""


def until_widget(notebook):
    """The chapter up to the cell that makes its widget."""
    last = max(k for k, cell in enumerate(notebook.cells) if WIDGET.search(cell.source))
    return nbformat.v4.new_notebook(metadata=notebook.metadata, cells=notebook.cells[: last + 1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab that knows nothing of the user's own, with the chapters in its folder."""
    home = tmp_path_factory.mktemp("lab")
    for stem, notebook in CHAPTERS.items():
        nbformat.write(until_widget(notebook), home / f"{stem}.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(16), home / "log.txt"
    kept = {"CONFIG": "CONFIG_DIR", "DATA": "DATA_DIR", "RUNTIME": "RUNTIME_DIR"}
    own = {f"JUPYTER_{name}": str(home / ".jupyter" / key) for key, name in kept.items()}
    own |= {f"JUPYTERLAB_{n}_DIR": str(home / ".lab" / n) for n in ("SETTINGS", "WORKSPACES")}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home}", "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with log.open("w") as file:
        server = subprocess.Popen(command, env=os.environ | own, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, log)
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}.ipynb?token={token}&reset"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address, server, log):
    for _ in range(200):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None:
                break
            time.sleep(0.3)
    pytest.fail(f"JupyterLab does not start:\n{log.read_text()[-2000:]}")


@pytest.mark.parametrize("stem", slow_but(["02_optimal_transport"], CHAPTERS))
def test_widget_follows_the_keyboard(browser, lab, stem):
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(60_000)
    page, broken = context.new_page(), []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(lab.format(stem))
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # without a kernel, "Run" asks for one
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    box = page.locator(".widget-interact")
    box.locator("img").wait_for(timeout=240_000)
    # JupyterLab takes the arrow keys of a dropdown: it moves to another cell.
    assert not box.locator("select").count(), "use a SelectionSlider: no key turns a dropdown"
    handles = box.locator(".noUi-handle")
    assert handles.count()
    for handle in handles.all():
        turn(page, handle)
    assert "Traceback" not in box.inner_text()
    assert not broken
    page.close()
    context.close()


def turn(page, handle):
    """Move a slider forth and back; the figure has to follow, and soon."""
    at, most = (handle.get_attribute(f"aria-value{which}") for which in ("now", "max"))
    keys = ("ArrowLeft", "ArrowRight") if at == most else ("ArrowRight", "ArrowLeft")
    handle.focus()
    answers = []
    for key in keys * 2:
        page.evaluate(WATCH)
        page.keyboard.press(key)
        answers.append(page.evaluate("window.answer"))
        assert answers[-1], f"{key} changed nothing"
    print("milliseconds:", [round(answer) for answer in answers])
    assert statistics.median(answers) < SLOWEST
