"""Programs of the system that a test runs in a folder of their own, and of which nothing is left behind."""

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from app.cli.local.process import Child, Spec, last_lines


class Scratch(ABC):
    """Some processes and their folder, for as long as a `with`; where that fails their logs are shown."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"sentinel-{name}-"))
        self.children: dict[str, Child] = {}

    @abstractmethod
    def begin(self) -> None:
        """Start what there is, until it answers."""

    def run(self, name: str, *argv: str, env: Mapping[str, str] = MappingProxyType({})) -> Child:
        """A process, in place of the one of that name before."""
        spec = Spec(name, argv, self.log_of(name), env=env, cwd=self.folder)
        self.children[name] = Child(spec)
        return self.children[name]

    def log_of(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / f"{name}.log"

    def close(self) -> None:
        """Stop all, the last one first, and remove every trace."""
        for child in reversed(self.children.values()):
            child.kill()
            child.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.begin()
        except BaseException:  # also Ctrl-C: what was started must not outlive the test
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for name in self.children:
                print(f"--- {name}\n{last_lines(self.log_of(name), 30)}")
        self.close()
