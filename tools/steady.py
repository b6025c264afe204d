"""Keep notebook execution from waiting for ever at a cell with a widget.

A widget can make nbclient send to the kernel while it awaits the kernel's reply. jupyter_client sends
through a second handle of the same socket, and this handle can swallow the signal that the reply has
come: both sides are idle then, for ever. Polling the socket once more looks at what has come, not at the
signal, and wakes the waiting side.
"""

from __future__ import annotations

import asyncio
from typing import Any

from nbclient import NotebookClient

EVERY = 1.0  # seconds


def keep_looking() -> None:
    """Let all notebook clients of this process poll while they wait, also papermill's and nbmake's."""
    original = NotebookClient._async_poll_for_reply
    if getattr(original, "keeps_looking", False):
        return

    async def wait_and_look(self: NotebookClient, *args: Any, **kwargs: Any) -> dict[str, Any]:
        looking = asyncio.ensure_future(_look(self))
        try:
            return await original(self, *args, **kwargs)
        finally:
            looking.cancel()

    vars(wait_and_look)["keeps_looking"] = True
    NotebookClient._async_poll_for_reply = wait_and_look  # type: ignore[method-assign]  # a patch


async def _look(client: NotebookClient) -> None:
    while True:
        await asyncio.sleep(EVERY)
        assert client.kc is not None
        await client.kc.shell_channel.socket.poll(10)
