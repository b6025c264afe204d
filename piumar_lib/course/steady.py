"""Keep notebook execution from waiting for ever at a cell with a widget.

A widget makes nbclient send to the kernel while it awaits the kernel's reply. jupyter_client sends
through a second handle of the same socket, and that can swallow the one signal that says the reply has
come: both sides are idle then, for ever. A question to the kernel every few seconds brings another
signal; its answer belongs to no cell, and nbclient passes over it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from nbclient import NotebookClient

EVERY = 5.0  # seconds


def keep_asking() -> None:
    """Let every notebook client of this process ask while it waits, papermill's and nbmake's too."""
    original = NotebookClient._async_poll_for_reply
    if getattr(original, "keeps_asking", False):
        return

    async def wait_and_ask(self: NotebookClient, *args: Any, **kwargs: Any) -> dict[str, Any]:
        asking = asyncio.ensure_future(_ask(self))
        try:
            return await original(self, *args, **kwargs)
        finally:
            asking.cancel()

    wait_and_ask.keeps_asking = True
    NotebookClient._async_poll_for_reply = wait_and_ask


async def _ask(client: NotebookClient) -> None:
    while True:
        await asyncio.sleep(EVERY)
        client.kc.kernel_info()
