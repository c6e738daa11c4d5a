# SPDX-License-Identifier: GPL-3.0-or-later
"""`window_manager.netrender`: what goes on now, for panels, lists and scripts. Never saved. The
timer fills it.
"""

from typing import TYPE_CHECKING

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup

from . import farm_rows
from .farm_rows import NETRENDER_PG_farm, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netrender_native import Heading, Report, Row


class NETRENDER_PG_finding(PropertyGroup):
    """A row of a report's problems and notes; `name` is the file or kind that it is about."""

    why: StringProperty()
    heading: StringProperty()  # of its kind; rows of one kind follow each other
    is_problem: BoolProperty()
    may_differ: BoolProperty()


class NETRENDER_PG_found_master(PropertyGroup):
    url: StringProperty()
    version: StringProperty()


def slider(shown_by: str, description: str):
    """A slider that nobody can move, in place of a progress bar in Blenders before 4.0. Without a
    setter it would be drawn grey.
    """
    return FloatProperty(
        description=description,
        subtype="PERCENTAGE",
        min=0,
        max=100,
        precision=0,
        get=lambda state: getattr(state, shown_by),
        set=lambda _state, _value: None,
    )


class NETRENDER_PG_state(PropertyGroup):
    last_job: IntProperty(name="Last Job", description="Number of the job sent last", options={"SKIP_SAVE"})
    last_file: StringProperty(
        name="Last File", description="The frame picked up last", options={"SKIP_SAVE"}, subtype="FILE_PATH"
    )
    sent_percent: FloatProperty(options={"SKIP_SAVE"})
    rendered_percent: FloatProperty(options={"SKIP_SAVE"})
    sending: slider("sent_percent", "How much of it is on the farm")
    rendering: slider("rendered_percent", "How much of the frame is done")
    masters: CollectionProperty(type=NETRENDER_PG_found_master, options={"SKIP_SAVE"})
    findings: CollectionProperty(type=NETRENDER_PG_finding, options={"SKIP_SAVE"})
    finding_index: IntProperty(name="Finding", options={"SKIP_SAVE"})
    client_farm: PointerProperty(type=NETRENDER_PG_farm, options={"SKIP_SAVE"})
    master_farm: PointerProperty(type=NETRENDER_PG_farm, options={"SKIP_SAVE"})

    def shown_rows(self, scene: bpy.types.Scene) -> NETRENDER_PG_farm:
        """The rows of the farm that the panels show in the scene's mode."""
        return self.master_farm if scene.netrender.mode == "MASTER" else self.client_farm

    def show_progress(self, sent: float, rendered: float) -> None:
        """Shows the progress, 0 to 1, of the oldest transfer and of this Blender's slave's frame."""
        put(self, "sent_percent", 100 * sent)
        put(self, "rendered_percent", 100 * rendered)

    def show_findings(self, report: "Report | None") -> None:
        """Fills the rows of a report's problems and notes."""
        findings = list(findings_of(report)) if report else []
        while len(self.findings) > len(findings):
            self.findings.remove(len(self.findings) - 1)
        while len(self.findings) < len(findings):
            self.findings.add()
        for row, (finding, heading) in zip(self.findings, findings):
            write_finding(row, finding, heading)
        self.finding_index = min(self.finding_index, max(0, len(findings) - 1))


def findings_of(report: "Report") -> "Iterator[tuple[Row, Heading]]":
    """The rows of a report, each with the heading of its kind: those of one kind follow each other."""
    for rows, is_wrong in ((report["problems"], True), (report["notes"], False)):
        headings = (h for h in report["headings"] if (h["severity"] == "wrong") == is_wrong)
        each = (heading for heading in headings for _ in range(heading["count"]))
        severity = "wrong" if is_wrong else "info"
        no_heading: Heading = {"kind": "", "severity": severity, "heading": "", "count": 0}
        for row in rows:
            yield row, next(each, no_heading)


def write_finding(row: NETRENDER_PG_finding, finding: "Row", heading: "Heading") -> None:
    row.name = finding["path"] or finding["kind"].replace("_", " ").capitalize()
    row.why = f"{finding['user']}: {finding['why']}" if finding["user"] else finding["why"]
    row.heading = heading["heading"]
    row.is_problem = heading["severity"] == "wrong"
    row.may_differ = heading["severity"] == "may_differ"


CLASSES = (*farm_rows.CLASSES, NETRENDER_PG_finding, NETRENDER_PG_found_master, NETRENDER_PG_state)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.WindowManager.netrender = PointerProperty(type=NETRENDER_PG_state, options={"SKIP_SAVE"})


def unregister() -> None:
    del bpy.types.WindowManager.netrender
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
