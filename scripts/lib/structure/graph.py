# SPDX-License-Identifier: GPL-3.0-or-later
"""Import graph of one tree of source files, and the circles in it."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Graph:
    """Which file imports from which. `name` is the crate or package, for messages."""

    name: str
    files: set[Path] = field(default_factory=set)
    # The line of the first import for each arrow.
    arrows: dict[Path, dict[Path, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, source: Path, target: Path, line: int) -> None:
        self.files |= {source, target}
        if source != target:
            lines = self.arrows.setdefault(source, {})
            lines[target] = min(line, lines.get(target, line))

    def reachable(self, start: Path) -> set[Path]:
        """Every file that `start` imports from, directly or not."""
        found: set[Path] = set()
        waiting = deque(self.arrows.get(start, {}))
        while waiting:
            file = waiting.popleft()
            if file not in found:
                found.add(file)
                waiting.extend(self.arrows.get(file, {}))
        return found

    def knots(self) -> list[set[Path]]:
        """The largest sets of files that all reach each other: one for each independent circle."""
        reach = {file: self.reachable(file) for file in self.files}
        knots: list[set[Path]] = []
        seen: set[Path] = set()
        for file in sorted(self.files):
            if file in reach[file] and file not in seen:
                knots.append({other for other in reach[file] if file in reach[other]})
                seen |= knots[-1]
        return knots

    def circle(self, knot: set[Path]) -> list[Path]:
        """A shortest way round in `knot`; its first file is not repeated at the end."""
        return min((self._way_back(start, knot) for start in sorted(knot)), key=len)

    def _way_back(self, start: Path, knot: set[Path]) -> list[Path]:
        waiting = deque([[start]])
        seen: set[Path] = set()
        while waiting:
            way = waiting.popleft()
            for target in sorted(self.arrows.get(way[-1], {})):
                if target == start:
                    return way
                if target in knot and target not in seen:
                    seen.add(target)
                    waiting.append([*way, target])
        raise ValueError(f"{start} is in no circle")

    def floors(self) -> int:
        """Length of the longest way down, a knot being one floor."""
        reach = {file: self.reachable(file) for file in self.files}
        floors: dict[Path, int] = {}
        # Whoever reaches less is lower; the files of a knot reach the same and stand on one floor.
        for file in sorted(self.files, key=lambda file: (len(reach[file]), file not in reach[file])):
            below = [floors[other] for other in reach[file] if file not in reach[other]]
            floors[file] = 1 + max(below, default=0)
        return max(floors.values(), default=0)

    def describe(self, root: Path) -> list[str]:
        """One message for each knot, with the lines that make a shortest circle."""
        return [self._describe(knot, root) for knot in self.knots()]

    def _describe(self, knot: set[Path], root: Path) -> str:
        circle = self.circle(knot)
        text = [f"{self.name}: import circle"]
        for source, target in zip(circle, [*circle[1:], circle[0]], strict=True):
            line = self.arrows[source][target]
            text.append(f"  {source.relative_to(root)}:{line} imports from {target.relative_to(root)}")
        if others := sorted(str(file.relative_to(root)) for file in knot - set(circle)):
            text.append(f"  {len(others)} more in the same knot: {', '.join(others)}")
        return "\n".join(text)
