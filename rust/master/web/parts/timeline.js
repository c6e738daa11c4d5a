// Render history of slaves as strips; gaps are idle time. It shows a period, at first the last
// hour, that buttons, wheel and keys zoom and move.

import { Empty } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { duration, moment, percent } from "../format.js";
import { Icon, html, useEffect, useMemo, useRef, useState } from "../html.js";
import { t } from "../language.js";
import { slaveList } from "../farm-feed.js";
import { Table } from "../rows.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NEAREST_MS = MINUTE_MS;
const FARTHEST_MS = 7 * 24 * HOUR_MS;
/** Zoom factor of one step. */
const STEP = 2;
const WIDTH = 1000;
const REST_MS = 5000;
/** Gaps shorter than this are no gaps, because slaves report a render only at its end, in ms. */
const GAP_MS = 1000;

const within = (low, n, high) => Math.max(low, Math.min(high, n));

/** The visible period; `end` null means now, and moves with the clock. */
function useStretch() {
  const [stretch, setStretch] = useState({ end: null, span: HOUR_MS });
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (stretch.end !== null) return;
    const timer = setInterval(() => setNow(Date.now()), REST_MS);
    return () => clearInterval(timer);
  }, [stretch.end]);
  const change = (next) =>
    setStretch((old) => {
      const at = Date.now();
      const { end, span } = next({ end: old.end ?? at, span: old.span });
      setNow(at);
      return { end: end >= at ? null : Math.round(end), span: Math.round(span) };
    });
  /** `part`: the fixed point of the zoom, from 0, the beginning, to 1. */
  const zoom = (factor, part = 1) =>
    change(({ end, span }) => {
      const next = within(NEAREST_MS, span * factor, FARTHEST_MS);
      return { end: end + (1 - part) * (next - span), span: next };
    });
  const pan = (part) => change(({ end, span }) => ({ end: end + part * span, span }));
  const toNow = () => setStretch((old) => ({ ...old, end: null }));
  const to = stretch.end ?? now;
  return { from: to - stretch.span, to, span: stretch.span, live: stretch.end === null, zoom, pan, toNow };
}

/** Fetches the history of one slave or of all in a period: {stretch, from, to, bySlave}. */
export function useTimeline(slave) {
  const stretch = useStretch();
  const { from, to, span, live } = stretch;
  const who = slave === undefined ? "" : `&slave=${slave}`;
  // A moving period is requested with some time to spare and seldom, so that the URL stays the same
  // and repeated requests bring what is new.
  const begin = live ? Math.floor((to - span) / (span / 4)) * (span / 4) : from;
  const { value } = useDetail(`timeline?from_ms=${Math.round(begin)}${live ? "" : `&to_ms=${to}`}${who}`, { rest: REST_MS, follow: live });
  // The previous data stays until new data is here.
  const last = useRef([]);
  last.current = value ?? last.current;
  const spans = last.current;
  const bySlave = useMemo(() => {
    const found = new Map();
    for (const one of spans) {
      if (!found.has(one.slave)) found.set(one.slave, []);
      // A render in progress lasts until now, not until the time of the request.
      found.get(one.slave).push(live && one.on_its_way ? { ...one, to_ms: Math.max(one.to_ms, to) } : one);
    }
    return found;
  }, [spans, live && to]);
  return { stretch, from, to, bySlave, busy: value === undefined };
}

/** Buttons, and handlers of keys and wheel, for `children`. */
export function Stretch({ stretch, label, children }) {
  const { from, to, span, live, zoom, pan, toNow } = stretch;
  const box = useRef(null);
  const act = useRef(null);
  act.current = { zoom, pan };
  useEffect(() => {
    // Preact's listeners for the wheel are passive in some browsers; this one must keep the page
    // from scrolling.
    const onWheel = (event) => {
      const sideways = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      if (!sideways && !(event.ctrlKey || event.metaKey || event.altKey)) return;
      event.preventDefault();
      const strip = event.target.closest(".strip") ?? box.current;
      const { left, width } = strip.getBoundingClientRect();
      if (sideways) act.current.pan(within(-1, sideways / width, 1));
      else act.current.zoom(1.002 ** event.deltaY, within(0, (event.clientX - left) / width, 1));
    };
    const element = box.current;
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);
  // A period that ends now keeps moving.
  const middle = live ? 1 : 0.5;
  const keys = {
    "+": () => zoom(1 / STEP, middle),
    "=": () => zoom(1 / STEP, middle),
    "-": () => zoom(STEP, middle),
    ArrowLeft: () => pan(-0.25),
    ArrowRight: () => pan(0.25),
    PageUp: () => pan(-1),
    PageDown: () => pan(1),
    End: toNow,
  };
  const onKeyDown = (event) => {
    if (event.target !== box.current || !(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  };
  const button = (id, icon, name, run, disabled = false) =>
    html`<button type="button" class="button" data-action=${id} aria-label=${name} title=${name} disabled=${disabled}
      onClick=${run}><${Icon} name=${icon} /></button>`;
  return html`<div class="row"><div class="row" role="group" aria-label=${t("Stretch of time")}>
      ${button("time-before", "left", t("Earlier"), () => pan(-0.5))}
      ${button("time-after", "right", t("Later"), () => pan(0.5), live)}
      ${button("time-farther", "minus", t("Longer"), () => zoom(STEP, middle), span >= FARTHEST_MS)}
      ${button("time-nearer", "plus", t("Shorter"), () => zoom(1 / STEP, middle), span <= NEAREST_MS)}
      <button type="button" class="button" data-action="time-now" aria-pressed=${live} onClick=${toNow}>${t("Now")}</button></div>
    <span class="why stretch-told" aria-live="polite">
      ${t("{time} from {first} to {last}", { time: duration(span / 1000), first: moment(from), last: moment(to) })}
    </span>
    <small>${t("Keys: + and −, arrows, End. Wheel: with Ctrl nearer, with Shift along.")}</small></div>
  <div ref=${box} class="stretch" tabindex="0" role="group" aria-label=${label} onKeyDown=${onKeyDown}>${children}</div>`;
}

/** Gaps between spans, in order: [{from_ms, to_ms}]. */
export function gaps(spans, from, to) {
  const found = [];
  let reached = from;
  for (const span of [...spans].sort((a, b) => a.from_ms - b.from_ms)) {
    if (span.from_ms >= to) break;
    if (span.from_ms - reached >= GAP_MS) found.push({ from_ms: reached, to_ms: span.from_ms });
    reached = Math.max(reached, span.to_ms);
  }
  if (to - reached >= GAP_MS) found.push({ from_ms: reached, to_ms: to });
  return found;
}

const idleOf = (spans, from, to) => gaps(spans, from, to).reduce((sum, gap) => sum + gap.to_ms - gap.from_ms, 0);

const kinds = ["bars", "fails", "going"];
const kindOf = (span) => (span.on_its_way ? "going" : span.ok ? "bars" : "fails");

/** Spans as one strip. `point` is called with the time under the pointer, or null. */
export function Strip({ spans, from, to, name, point }) {
  const x = (ms) => within(0, (WIDTH * (ms - from)) / (to - from), WIDTH);
  const seen = spans.filter((span) => span.to_ms >= from && span.from_ms <= to);
  const bar = (span) => {
    const [left, right] = [x(span.from_ms), x(span.to_ms)];
    return `M${left.toFixed(1)} 0h${Math.max(0.7, right - left).toFixed(1)}v20H${left.toFixed(1)}z`;
  };
  const path = (kind) => seen.filter((span) => kindOf(span) === kind).map(bar).join("");
  const idle = gaps(seen, from, to).map((gap) => `M${x(gap.from_ms).toFixed(1)} 10H${x(gap.to_ms).toFixed(1)}`).join("");
  const busy = 1 - idleOf(seen, from, to) / (to - from);
  const onPointerMove = (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    point(from + ((event.clientX - left) / width) * (to - from));
  };
  return html`<svg class="strip" viewBox=${`0 0 ${WIDTH} 20`} preserveAspectRatio="none" role="img"
    aria-label=${t("{name} rendered {part} of this time", { name, part: percent(busy) })}
    onPointerMove=${point && onPointerMove} onPointerLeave=${point && (() => point(null))}>
    <path class="idle" d=${idle} />${kinds.map((kind) => html`<path key=${kind} class=${kind} d=${path(kind)} />`)}</svg>`;
}

export function Ends({ from, to }) {
  return html`<div class="strip-ends" aria-hidden="true"><span>${moment(from)}</span><span>${moment(to)}</span></div>`;
}

/** A slave's activity at a time, in words. */
function told(spans, from, to, at) {
  const time = (span) => ({ time: duration((span.to_ms - span.from_ms) / 1000), first: moment(span.from_ms), last: moment(span.to_ms) });
  const span = spans.find((one) => one.from_ms <= at && at <= one.to_ms);
  if (span?.on_its_way) return t("Job {job}, frame {frame}: on its way for {time}", { ...span, ...time(span) });
  if (span) return t("Job {job}, frame {frame}: {time} from {first} to {last}", { ...span, ...time(span) });
  const gap = gaps(spans, from, to).find((one) => one.from_ms <= at && at <= one.to_ms);
  return gap ? t("Nothing for {time} from {first} to {last}", time(gap)) : "";
}

/** One slave's history, large, with the sum of its gaps. */
export function Lately({ slave }) {
  const { stretch, from, to, bySlave } = useTimeline(slave.id);
  const [at, setAt] = useState(null);
  const spans = bySlave.get(slave.id) ?? [];
  const idle = gaps(spans, from, to);
  const longest = idle.reduce((most, gap) => Math.max(most, gap.to_ms - gap.from_ms), 0);
  const sum = idleOf(spans, from, to);
  return html`<section aria-labelledby="lately"><h2 id="lately">${t("What it rendered")}</h2>
    <${Stretch} stretch=${stretch} label=${t("What it rendered")}>
      <div class="plot"><p class="why strip-told">${
        at === null
          ? t("Rendered for {busy}, nothing for {idle}, the longest gap {longest}",
            { busy: duration((to - from - sum) / 1000), idle: duration(sum / 1000), longest: duration(longest / 1000) })
          : told(spans, from, to, at)
      }</p><${Strip} spans=${spans} from=${from} to=${to} name=${slave.name} point=${setAt} /><${Ends} from=${from} to=${to} /></div><//></section>`;
}

function StripRow({ item: slave, index, context: { bySlave, from, to } }) {
  return html`<tr role="row" aria-rowindex=${index} data-slave=${slave.id}>
    <td role="cell" class="c-name"><a href=${`#/slaves/${slave.id}`}>${slave.name}</a></td>
    <td role="cell"><${Strip} spans=${bySlave.get(slave.id) ?? []} from=${from} to=${to} name=${slave.name} /></td></tr>`;
}

export function Gantt() {
  const timeline = useTimeline();
  const { stretch, from, to } = timeline;
  const items = slaveList.value.filter((slave) => slave.state !== "gone" || timeline.bySlave.has(slave.id));
  const columns = [{ key: "name", title: t("Slave") }, { key: "strip", title: html`<${Ends} from=${from} to=${to} />` }];
  return html`<section aria-labelledby="gantt"><h2 id="gantt">${t("What slaves rendered")}</h2>
    <${Stretch} stretch=${stretch} label=${t("What slaves rendered")}><div class="list">${
      items.length
        ? html`<${Table} label=${t("What slaves rendered")} className="gantt" columns=${columns}
        items=${items} Row=${StripRow} context=${timeline} />`
        : html`<${Empty}>${t("No slaves yet: press Start service in Blender's Slave panel.")}<//>`
    }</div><//></section>`;
}
