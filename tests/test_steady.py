"""A reply whose signal was swallowed is noticed all the same."""

from __future__ import annotations

import asyncio

import nbmake.nb_run
import zmq
import zmq.asyncio
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from papermill.clientwrap import PapermillNotebookClient

from tools import run, steady


def test_a_reply_whose_signal_was_swallowed_is_noticed(monkeypatch):
    """The very situation: a second handle sends while the first one waits and the reply comes."""

    async def original(self, *_):
        await self.kc.shell_channel.socket.poll(None)
        return {"the": await self.kc.shell_channel.socket.recv_string()}

    monkeypatch.setattr(NotebookClient, "_async_poll_for_reply", original)

    async def wait(looking):
        context = zmq.asyncio.Context()
        client = context.socket(zmq.DEALER)
        kernel = zmq.Context.shadow(context.underlying).socket(zmq.DEALER)
        port = kernel.bind_to_random_port("tcp://127.0.0.1")
        client.connect(f"tcp://127.0.0.1:{port}")
        notebooks = NotebookClient(new_notebook())
        notebooks.kc = type("", (), {"shell_channel": type("", (), {"socket": client})})
        waiting = asyncio.ensure_future(notebooks._async_poll_for_reply("id"))
        await asyncio.sleep(0.3)
        kernel.send_string("reply")
        second = zmq.Socket.shadow(client.underlying)
        while not second.get(zmq.EVENTS) & zmq.POLLIN:  # takes note of the reply, in place of the loop
            second.send_string("from a widget")
        try:
            return await asyncio.wait_for(waiting, 1.5 if looking else 0.5)
        except TimeoutError:
            return None
        finally:
            for socket in (client, kernel):
                socket.close(linger=0)

    assert asyncio.run(wait(looking=False)) is None, "the signal was swallowed"
    monkeypatch.setattr(steady, "EVERY", 0.05)
    steady.keep_looking()
    steady.keep_looking()  # once is enough
    assert asyncio.run(wait(looking=True)) == {"the": "reply"}


def test_all_our_clients_keep_looking():
    for client in (run.NotebookClient, nbmake.nb_run.NotebookClient, PapermillNotebookClient):
        assert issubclass(client, NotebookClient)
        assert client._async_poll_for_reply.keeps_looking


def test_looking_disturbs_no_cell(monkeypatch, tmp_path):
    monkeypatch.setattr(steady, "EVERY", 0.02)
    cells = [new_code_cell("import time; time.sleep(0.5)"), new_code_cell("print(6 * 7)")]
    notebook = new_notebook(cells=[*cells, new_code_cell("1 / 0")])
    _, error = run.execute(notebook, tmp_path)
    assert notebook.cells[1].outputs[0].text == "42\n" and "ZeroDivisionError" in error


def test_widgets_that_talk_while_they_are_waited_for(tmp_path):
    source = "from ipywidgets import interact\ninteract(lambda k: print('k' * 2000), k=(0, 9));"
    notebook = new_notebook(cells=[new_code_cell(source) for _ in range(8)])
    peak, error = run.execute(notebook, tmp_path, timeout=60)
    assert not error and peak > 0
