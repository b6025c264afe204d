"""A figure that grows with a training."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from piumar_lib.ma52.history import History, read_history
from piumar_lib.notebook import plots
from piumar_lib.notebook.live import Live


def rows(epochs):
    """A training: two rows of steps an epoch, and a look at held-out people."""
    made = []
    for epoch in range(1, epochs + 1):
        for half in (epoch - 0.5, float(epoch)):
            step = {"loss": 4 / half, "learning rate": 1e-3, "clips/s": 50.0, "memory GB": 1.0}
            made.append({"step": int(2 * half), "epoch": half} | step)
        look = {"F1_mean": 0.1 * epoch, "mean over people": 0.2, "worst quarter of people": 0.1}
        look |= {"part head": 0.5, "part body": 0.0}
        made.append({"step": 2 * epoch, "epoch": epoch, "held out": look})
    return made


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, and what it was replaced by."""
    pictures = []

    class Handle:
        def update(self, picture):
            pictures.append(("update", picture))

    def display(picture, display_id):
        pictures.append(("display", picture))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    return pictures


def test_a_history_is_drawn_with_what_it_says():
    figure, alt = plots.history(rows(3))
    assert alt == "Training up to epoch 3.0: loss 8.00 to 1.33; on held-out people F1_mean 30.0 %."
    lines = {ax.get_ylabel(): ax.lines for ax in figure.axes}
    assert [len(line.get_xdata()) for line in lines["loss"]] == [6]
    assert lines["held-out people, %"][0].get_ydata() == pytest.approx([10, 20, 30])
    assert [bar.get_width() for bar in figure.axes[2].patches] == [50, 0]
    plt.close(figure)
    figure, alt = plots.history(rows(1)[:1])
    assert alt == "Training up to epoch 0.5: loss 8.00 to 8.00."
    plt.close(figure)


def test_a_live_figure_is_drawn_over_itself_and_not_too_often(shown, tmp_path):
    live = Live(plots.history, seconds=3600)
    for count in (1, 2, 3):
        live(rows(count))
    assert [how for how, _ in shown] == ["display"]
    history = History(tmp_path, 0)
    for row in rows(4):
        history.add(row)
    history.close()
    live.finish(read_history(tmp_path))
    assert [how for how, _ in shown] == ["display", "update"]
    picture = shown[-1][1]
    assert picture.alt.startswith("Training up to epoch 4.0")
    assert picture.data.startswith(b"\x89PNG")


def test_a_run_that_had_ended_before_is_drawn_once(shown, tmp_path):
    history = History(tmp_path, 0)
    for row in rows(2):
        history.add(row)
    history.close()
    Live(plots.history).finish(read_history(tmp_path))
    assert [how for how, _ in shown] == ["display"]
