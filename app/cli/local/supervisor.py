"""The children's keeper: starts them, starts again what dies, and stops all in order.

One thread does everything, the main one: the kernel's parent-death signal is tied to the thread
that forked.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.cli.local.errors import LocalError, Stopped
from app.cli.local.process import Child, Spec, adopt_orphans, last_lines

TICK = 0.05
STEADY = 60.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
HURRIED = 2.0
CHANCES = 5
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Keeping:
    """One child, and how often it has died of late."""

    spec: Spec
    child: Child
    deaths: int = 0
    restart_at: float | None = None
    left: bool = False


class Supervisor:
    """The processes of one home."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kept: dict[str, Keeping] = {}
        # The second process of a name in a rolling restart: the new one until it is ready, then the old one.
        self._beside: dict[str, Child] = {}
        self._asked_to_stop = 0
        self._listens = False

    def listen(self) -> None:
        """Take Ctrl-C, SIGTERM and SIGHUP as the wish to stop; a second one hurries."""
        for number in ENDS:
            signal.signal(number, self._on_signal)
        adopt_orphans()
        self._listens = True

    def _on_signal(self, number: int, _frame: object) -> None:
        self._asked_to_stop += 1

    def start(self, spec: Spec) -> Child:
        """Start a child; `tick` keeps it running from then on."""
        child = Child(spec)
        self._kept[spec.name] = Keeping(spec, child)
        return child

    def child(self, name: str) -> Child:
        """The present process of that name."""
        return self._kept[name].child

    def names(self) -> list[str]:
        """All that was started."""
        return list(self._kept)

    def is_running(self, name: str) -> bool:
        """Whether that child is alive now."""
        return name in self._kept and self._kept[name].child.exit_code is None

    def wait_until(
        self, done: Callable[[], bool], seconds: float, what: object, needs: Iterable[str] = ()
    ) -> None:
        """Come back when `done`; those in `needs` must not die meanwhile. `what` says what failed."""
        deadline = time.monotonic() + seconds
        while not done():
            for name in needs:
                self._must_live(self._kept[name].child)
            if time.monotonic() > deadline:
                raise LocalError(f"{what} is not ready after {seconds:.0f} s")
            self.pause()

    def pause(self, seconds: float = TICK) -> None:
        """Sleep, unless the end was asked for."""
        if self._asked_to_stop:
            raise Stopped
        time.sleep(seconds)

    def tick(self) -> None:
        """Start again what has died, later and later if it keeps dying."""
        self.pause()
        for kept in self._kept.values():
            if kept.restart_at is not None and time.monotonic() >= kept.restart_at:
                kept.child, kept.restart_at = Child(kept.spec), None
                self._say(f"{kept.spec.name} runs again (pid {kept.child.pid})")
            elif not kept.left and kept.restart_at is None and kept.child.exit_code is not None:
                self._after_death(kept)

    def replace(self, spec: Spec, ready: Callable[[Child], bool], seconds: float) -> None:
        """Start `spec`, and end the child of its name once the new one is ready; the old one stays if it never is."""
        fresh = self._beside[spec.name] = Child(spec)
        deadline = time.monotonic() + seconds
        try:
            while not ready(fresh):
                self._must_live(fresh)
                if time.monotonic() > deadline:
                    raise LocalError(f"the new {spec.name} is not ready after {seconds:.0f} s")
                self.tick()
        except LocalError:
            self._see_off(spec.name)  # it may be at work already
            raise
        self._beside[spec.name] = self._kept[spec.name].child
        self._kept[spec.name] = Keeping(spec, fresh)
        self._see_off(spec.name)

    def _see_off(self, name: str) -> None:
        """End the second of that name, while the others are kept; `stop` does, if asked for meanwhile."""
        child = self._beside[name]
        child.end()
        while child.exit_code is None:
            if child.is_late(child.spec.patience):
                child.kill()
            self.tick()
        child.sweep()
        del self._beside[name]

    def _after_death(self, kept: Keeping) -> None:
        kept.child.sweep()
        kept.deaths = 0 if time.monotonic() - kept.child.started > STEADY else kept.deaths
        kept.left = kept.spec.once or (not kept.spec.essential and kept.deaths >= CHANCES)
        if kept.spec.once:
            return
        what = "left out from now on" if kept.left else "starting it again"
        self._say(f"{kept.spec.name} died ({_ending(kept.child)}); {what}, log: {kept.spec.log}")
        if not kept.left:
            kept.restart_at = time.monotonic() + min(FIRST_PAUSE * 2**kept.deaths, LONGEST_PAUSE)
            kept.deaths += 1

    def _must_live(self, child: Child) -> None:
        if child.exit_code is not None:
            raise LocalError(
                f"{child.spec.name} did not start ({_ending(child)}); "
                f"the end of {child.spec.log}:\n" + last_lines(child.spec.log)
            )

    def stop(self, groups: Iterable[Iterable[str]]) -> None:
        """Stop each group, in that order, then whatever is left."""
        wishes = self._asked_to_stop
        known = [tuple(name for name in group if name in self._kept) for group in groups]
        named = {name for group in known for name in group}
        for group in (*known, tuple(self._kept.keys() - named)):
            self._stop_together([child for name in group for child in self._all(name)], wishes)
        self._kept.clear()
        self._beside.clear()
        if self._listens:
            _reap()

    def _all(self, name: str) -> list[Child]:
        second = self._beside.get(name)
        return [self._kept[name].child, *([second] if second else [])]

    def _stop_together(self, children: list[Child], wishes: int) -> None:
        for child in children:
            child.end()
        while alive := [child for child in children if child.exit_code is None]:
            for child in alive:
                patience = HURRIED if self._asked_to_stop > max(wishes, 1) else child.spec.patience
                if child.is_late(patience):
                    child.kill()
            time.sleep(TICK)
        for child in children:
            child.sweep()


def _reap() -> None:
    """Take leave of the orphans that were adopted: in a container nobody else may do it."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _ending(child: Child) -> str:
    code = child.exit_code or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"
