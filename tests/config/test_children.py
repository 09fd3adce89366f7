"""The demo's processes: watched, started again, stopped in order, never left behind."""

import signal
import subprocess
import sys

import psutil
import pytest

from config.demo import children
from config.demo.children import Child, ChildFailed, Children
from config.env import BASE_DIR

PATIENCE_SECONDS = 20


@pytest.fixture
def family(tmp_path):
    """Children, and a way to make one that runs a line of shell."""
    all_children = Children()

    def child(name, line):
        return Child(name, ["sh", "-c", line], tmp_path / f"{name}.log")

    yield all_children, child
    all_children.stop()


def test_child_that_ends_fails_the_demo_with_the_last_lines_of_its_log(family):
    all_children, child = family
    broken = child("web", "echo no such module; exit 3")
    all_children.start(broken)
    broken.process.wait(PATIENCE_SECONDS)
    with pytest.raises(ChildFailed, match=r"(?s)web ended with exit code 3.*no such module"):
        all_children.watch(restart=False)


def test_child_that_falls_at_once_is_not_started_again(family):
    all_children, child = family
    broken = child("web", "exit 3")
    all_children.start(broken)
    broken.process.wait(PATIENCE_SECONDS)
    with pytest.raises(ChildFailed):
        all_children.watch(restart=True)


def test_child_that_had_lived_is_reported_and_started_again(family, monkeypatch, capsys):
    monkeypatch.setattr(children, "SHORTEST_LIFE_SECONDS", 0)
    all_children, child = family
    worker = child("worker", "exec sleep 1000")
    all_children.start(worker)
    first = worker.process.pid
    worker.process.kill()
    worker.process.wait(PATIENCE_SECONDS)
    all_children.watch(restart=True)
    assert worker.process.pid != first
    assert psutil.pid_exists(worker.process.pid)
    assert "worker was ended by SIGKILL; starting it again." in capsys.readouterr().err


def test_children_stop_in_the_opposite_order_of_their_start(family, tmp_path):
    all_children, child = family
    order = tmp_path / "order"
    for name in ("broker", "worker", "web"):
        waiting = child(name, f"trap 'echo {name} >> {order}; exit' TERM; echo up; while :; do sleep 0.05; done")
        all_children.start(waiting)
        all_children.wait_until(lambda log=waiting.log: log.read_text() == "up\n", what=name, seconds=PATIENCE_SECONDS)
    all_children.stop()
    assert order.read_text().split() == ["web", "worker", "broker"]


def test_what_a_child_started_itself_goes_with_it(family):
    all_children, child = family
    parent = child("web", "sleep 1000 & echo $!; wait")
    all_children.start(parent)
    all_children.wait_until(lambda: parent.log.read_text().endswith("\n"), what="web", seconds=PATIENCE_SECONDS)
    grandchild = psutil.Process(int(parent.log.read_text()))
    all_children.stop()
    assert psutil.wait_procs([grandchild], PATIENCE_SECONDS) == ([grandchild], [])


def test_killed_demo_takes_its_children_along(tmp_path):
    script = (
        "import sys; from pathlib import Path; from config.demo.children import Child, Children\n"
        "child = Child('worker', ['sleep', '1000'], Path(sys.argv[1]))\n"
        "Children().start(child); print(child.process.pid, flush=True); sys.stdin.read()"
    )
    demo = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        cwd=BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = psutil.Process(int(demo.stdout.readline()))
    demo.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([child], PATIENCE_SECONDS) == ([child], [])
    demo.communicate()
