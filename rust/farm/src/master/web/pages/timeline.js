// What slaves rendered when, as strips: gaps are time in which they did nothing.

import { Empty } from "../controls.js";
import { useDetail } from "../detail.js";
import { moment, percent } from "../format.js";
import { html, useMemo } from "../html.js";
import { t } from "../language.js";
import { slaveList } from "../live.js";
import { Table } from "../rows.js";

const HOUR_MS = 3_600_000;
const WIDTH = 1000;
const REST_MS = 5000;

/** The last hour of one slave, or of all: {from, to, bySlave}. */
export function useTimeline(slave) {
  const { value } = useDetail(slave === undefined ? "timeline" : `timeline?slave=${slave}`, { rest: REST_MS });
  return useMemo(() => {
    const to = Date.now();
    const bySlave = new Map();
    for (const span of value ?? []) {
      if (!bySlave.has(span.slave)) bySlave.set(span.slave, []);
      bySlave.get(span.slave).push(span);
    }
    return { from: to - HOUR_MS, to, bySlave, loaded: value !== undefined };
  }, [value]);
}

/** Spans as one strip. */
export function Strip({ spans, from, to, name }) {
  const x = (ms) => Math.max(0, Math.min(WIDTH, (WIDTH * (ms - from)) / (to - from)));
  const path = (ok) =>
    spans.filter((span) => span.ok === ok).map((span) => `M${x(span.from_ms).toFixed(1)} 0h${Math.max(0.7, x(span.to_ms) - x(span.from_ms)).toFixed(1)}v20H${x(span.from_ms).toFixed(1)}z`).join("");
  const busy = spans.reduce((sum, span) => sum + x(span.to_ms) - x(span.from_ms), 0) / WIDTH;
  return html`<svg class="strip" viewBox=${`0 0 ${WIDTH} 20`} preserveAspectRatio="none" role="img" aria-label=${t("{name} rendered {part} of the last hour", { name, part: percent(Math.min(1, busy)) })}>
    <path class="bars" d=${path(true)} /><path class="fails" d=${path(false)} /></svg>`;
}

export function Ends({ from, to }) {
  return html`<div class="strip-ends" aria-hidden="true"><span>${moment(from)}</span><span>${moment(to)}</span></div>`;
}

function StripRow({ item: slave, index, context: { bySlave, from, to } }) {
  return html`<tr role="row" aria-rowindex=${index}><td role="cell" class="c-name"><a href=${`#/slaves/${slave.id}`}>${slave.name}</a></td>
    <td role="cell"><${Strip} spans=${bySlave.get(slave.id) ?? []} from=${from} to=${to} name=${slave.name} /></td></tr>`;
}

export function Gantt() {
  const timeline = useTimeline();
  const items = slaveList.value.filter((slave) => slave.state !== "gone" || timeline.bySlave.has(slave.id));
  const columns = [{ key: "name", title: t("Slave") }, { key: "strip", title: html`<${Ends} ...${timeline} />` }];
  return html`<section aria-labelledby="gantt"><h2 id="gantt">${t("The last hour")}</h2><div class="list">${
    items.length ? html`<${Table} label=${t("What slaves rendered in the last hour")} className="gantt" columns=${columns} items=${items} Row=${StripRow} context=${timeline} />` : html`<${Empty}>${t("No slaves yet: press Start service in Blender's Slave panel.")}<//>`
  }</div></section>`;
}
