"""A reply whose signal was swallowed is noticed all the same."""

from __future__ import annotations

import asyncio

import nbmake.nb_run
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from papermill.clientwrap import PapermillNotebookClient

from piumar_lib.course import run, steady


class Deaf:
    """A kernel client that hears of the reply only when it asks something itself."""

    def __init__(self):
        self.asked, self.heard = 0, asyncio.Event()

    def kernel_info(self):
        self.asked += 1
        self.heard.set()


def test_waiting_asks_and_stops_asking(monkeypatch):
    async def original(self, *_):
        await self.kc.heard.wait()
        return {"the": "reply"}

    monkeypatch.setattr(NotebookClient, "_async_poll_for_reply", original)
    monkeypatch.setattr(steady, "EVERY", 0.01)
    steady.keep_asking()
    steady.keep_asking()  # once is enough

    async def wait():
        client = NotebookClient(new_notebook())
        client.kc = Deaf()
        reply = await asyncio.wait_for(client._async_poll_for_reply("id"), 5)
        asked = client.kc.asked
        await asyncio.sleep(0.1)
        return reply, asked, client.kc.asked

    reply, asked, later = asyncio.run(wait())
    assert reply == {"the": "reply"} and asked == later == 1


def test_all_our_clients_keep_asking():
    for client in (run.NotebookClient, nbmake.nb_run.NotebookClient, PapermillNotebookClient):
        assert issubclass(client, NotebookClient)
        assert client._async_poll_for_reply.keeps_asking


def test_answers_to_questions_disturb_no_cell(monkeypatch, tmp_path):
    monkeypatch.setattr(steady, "EVERY", 0.02)
    cells = [new_code_cell("import time; time.sleep(0.5)"), new_code_cell("print(6 * 7)")]
    notebook = new_notebook(cells=[*cells, new_code_cell("1 / 0")])
    _, error = run.execute(notebook, tmp_path)
    assert notebook.cells[1].outputs[0].text == "42\n" and "ZeroDivisionError" in error


@pytest.mark.parametrize("turns", [3])
def test_widgets_that_talk_while_they_are_waited_for(turns, tmp_path):
    source = "from ipywidgets import interact\ninteract(lambda k: print('k' * 2000), k=(0, 9));"
    for _ in range(turns):
        notebook = new_notebook(cells=[new_code_cell(source) for _ in range(4)])
        peak, error = run.execute(notebook, tmp_path, timeout=60)
        assert not error and peak > 0
