// The frames of a job, as pictures or as a map of coloured fields, with selection by range or one
// by one.

import { addresses, archive, log, post, thumb } from "../api.js";
import { Action, Empty, Picture, State } from "../controls.js";
import { duration, frameList, number, readFrames } from "../format.js";
import { Icon, html, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { plural, t } from "../language.js";
import { slaveName } from "../farm-feed.js";
import { go } from "../route.js";
import { useSight } from "../rows.js";

/**
 * Number of frames above which the map is shown at first: pictures would be too many to look at.
 */
const MANY = 2000;
const TILE = 132;

export const stateName = (state) =>
  ({ waiting: t("Waiting"), leased: t("Rendering"), sharing: t("Rendered by several"), done: t("Done"), failed: t("Failed") })[state];

/** URL of a frame's picture; it differs for each picture that the frame had. */
export const picture = (job, task) =>
  task.state === "done" && task.preview
    ? `${thumb(job.id, task.frame)}?${task.film.slice(0, 8)}`
    : task.state === "sharing"
      ? task.samples?.[0]
        ? `${thumb(job.id, task.frame)}?${task.samples[0]}`
        : null
      : null;

export function Frames({ job }) {
  const [chosen, setChosen] = useState(() => new Set());
  const [text, setText] = useState("");
  const [state, setState] = useState("all");
  const [asMap, setAsMap] = useState(job.tasks.length > MANY);
  const count = useMemo(() => {
    const found = { waiting: 0, leased: 0, done: 0, failed: 0 };
    for (const task of job.tasks) found[task.state === "sharing" ? "leased" : task.state] += 1;
    return found;
  }, [job.tasks]);
  const shown = useMemo(
    () => (state === "all" ? job.tasks : job.tasks.filter((task) => (task.state === "sharing" ? "leased" : task.state) === state)),
    [job.tasks, state],
  );
  const choose = (frames) => {
    setChosen(frames);
    setText(frameList(frames));
  };
  const type = (value) => {
    setText(value);
    const read = readFrames(value, job.tasks.map((task) => task.frame));
    if (read) setChosen(read);
  };
  const wrong = readFrames(text, []) === null;
  const filter = (key, name) =>
    html`<button type="button" class="button" data-state=${key} aria-pressed=${state === key} onClick=${() => setState(key)}>${
      key === "all" ? name : html`<${State} state=${key}>${name}<//>`
    } <span class="count">${number(key === "all" ? job.tasks.length : count[key])}</span></button>`;
  return html`<section class="frames" aria-label=${t("Frames")}>
    <div class="row">
      <div class="row" role="group" aria-label=${t("Show frames that are")}>${filter("all", t("All"))}
        ${filter("waiting", stateName("waiting"))}${filter("leased", stateName("leased"))}
        ${filter("done", stateName("done"))}${filter("failed", stateName("failed"))}</div>
      <div class="row push" role="group" aria-label=${t("Show frames as")}>
        <button type="button" class="button" data-view="pictures" aria-pressed=${!asMap} onClick=${() => setAsMap(false)}>${t("Pictures")}</button>
        <button type="button" class="button" data-view="map" aria-pressed=${asMap} onClick=${() => setAsMap(true)}>${t("Map")}</button>
      </div>
    </div>
    <div class="row choice">
      <label for="range">${t("Chosen frames")}</label>
      <input id="range" class="mono" placeholder="1-10,15" value=${text} aria-invalid=${wrong} onInput=${(event) => type(event.target.value)} />
      ${wrong
        ? html`<span class="bad">${t("Write frames like 1-10,15.")}</span>`
        : html`<span class="count" aria-live="polite">
          ${chosen.size ? plural(chosen.size, "{n} frame", "{n} frames") : t("none")}</span>`}
      <button type="button" class="button" data-action="choose-shown"
        onClick=${() => choose(new Set(shown.map((task) => task.frame)))}>${t("Choose all shown")}</button>
      ${chosen.size
        ? html`<button type="button" class="button" data-action="choose-none" onClick=${() => choose(new Set())}>
          ${t("Choose none")}</button>`
        : null}
    </div>
    <${ForChosen} job=${job} chosen=${chosen} />
    ${shown.length === 0 ? html`<${Empty}>${t("No frame is like that.")}<//>` : asMap
      ? html`<${FrameMap} job=${job} tasks=${shown} chosen=${chosen} choose=${choose} />`
      : html`<${Tiles} job=${job} tasks=${shown} chosen=${chosen} choose=${choose} />`}
  </section>`;
}

/** Maximum length of a URL that names frames; servers and browsers refuse longer ones. */
const MOST_LETTERS = 16_000;

/** Actions on the selected frames, or on all if none is selected. */
function ForChosen({ job, chosen }) {
  const among = job.tasks.filter((task) => !chosen.size || chosen.has(task.frame));
  const done = among.filter((task) => task.state === "done");
  const frames = frameList(done.map((task) => task.frame));
  const fits = done.length && frames.length <= MOST_LETTERS;
  const link = (id, name, href, file) =>
    fits
      ? html`<a class="button" data-action=${id} download=${file} href=${href}><${Icon} name="down" />${name}</a>`
      : html`<button type="button" class="button" data-action=${id} disabled><${Icon} name="down" />${name}</button>`;
  const zip = (what, name) => link(`zip-${what}`, name, archive(job.id, frames, what), `result_${job.id}.zip`);
  const urls = (what, name) => link(`urls-${what}`, name, addresses(job.id, frames, what), `urls-${job.id}.txt`);
  const logs = () => save(`urls-${job.id}.txt`, done.map((task) => `${location.origin}${log(job.id, task.frame)}\n`).join(""));
  const ended = among.filter((task) => task.state === "done" || task.state === "failed");
  const again = html`<${Action} icon="again" id="requeue-chosen" label=${t("Render again")} disabled=${!ended.length}
    done=${plural(ended.length, "{n} frame is in the queue again.", "{n} frames are in the queue again.")}
    run=${() => post(`jobs/${job.id}/frames/requeue`, { frames: frameList(ended.map((task) => task.frame)) })} ask=${{
      title: plural(ended.length, "Render {n} frame again?", "Render {n} frames again?"),
      text: t("Their pictures and logs go."),
      yes: t("Render again"),
    }} />`;
  return html`<div class="row" role="group" aria-label=${chosen.size ? t("For the chosen frames") : t("For all frames")}>${chosen.size ? again : null}
    <span class="why">${chosen.size ? t("Chosen frames as zip:") : t("All that are done as zip:")}</span>
      ${zip("exr", "EXR")}${zip("jpg", "JPEG")}${zip("all", t("Both"))}
    <span class="why">${t("For wget -i, a list of addresses:")}</span>${urls("exr", "EXR")}${urls("jpg", "JPEG")}
    <button type="button" class="button" data-action="urls-log" disabled=${!done.length} onClick=${logs}><${Icon} name="down" />${t("Log")}</button>
    ${done.length && !fits ? html`<span class="bad">${t("These are too many parts for one download; choose fewer ranges.")}</span>` : null}</div>`;
}

/** Offers the browser a file that was made here. */
function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Number of tiles beside each other in `element`. */
function useColumns(element) {
  const [columns, setColumns] = useState(8);
  useLayoutEffect(() => {
    const look = () => setColumns(Math.max(2, Math.floor((element.current.clientWidth + 8) / (TILE + 8))));
    const observer = new ResizeObserver(look);
    observer.observe(element.current);
    look();
    return () => observer.disconnect();
  }, []);
  return columns;
}

/**
 * Selection by mouse and keyboard, the same for tiles and map. Returns the keyboard's position and
 * the handlers for keys and clicks.
 */
function useChoice(job, tasks, chosen, choose, columns) {
  const [at, setAt] = useState(0);
  const anchor = useRef(0);
  const here = Math.min(at, tasks.length - 1);
  const span = (to, from = anchor.current) => {
    const frames = tasks.slice(Math.min(from, to), Math.max(from, to) + 1).map((task) => task.frame);
    choose(new Set(frames));
  };
  const toggle = (index) => {
    const next = new Set(chosen);
    if (!next.delete(tasks[index].frame)) next.add(tasks[index].frame);
    choose(next);
  };
  const open = (index) => go(`/jobs/${job.id}/frames/${tasks[index].frame}`);
  const onClick = (index, event) => {
    setAt(index);
    if (event.shiftKey) return span(index);
    anchor.current = index;
    if (event.ctrlKey || event.metaKey) return toggle(index);
    open(index);
  };
  const onKey = (event) => {
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -here,
      End: tasks.length - 1 - here,
      PageUp: -8 * columns,
      PageDown: 8 * columns,
    };
    if (event.key in steps) {
      event.preventDefault();
      const next = Math.max(0, Math.min(tasks.length - 1, here + steps[event.key]));
      if (event.shiftKey) span(next);
      else anchor.current = next;
      setAt(next);
    } else if (event.key === " ") {
      event.preventDefault();
      anchor.current = here;
      toggle(here);
    } else if (event.key === "Enter") {
      open(here);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      choose(new Set(tasks.map((task) => task.frame)));
    } else if (event.key === "Escape" && chosen.size) {
      choose(new Set());
    }
  };
  return { here, setAt, anchor, span, onClick, onKey };
}

function Tiles({ job, tasks, chosen, choose }) {
  const box = useRef(null);
  const columns = useColumns(box);
  const { body, from, to, height, lines } = useSight(tasks.length, columns);
  const { here, onClick, onKey } = useChoice(job, tasks, chosen, choose, columns);
  const moved = useRef(false);
  useLayoutEffect(() => {
    if (!moved.current) return;
    moved.current = false;
    const tile = box.current.querySelector(`[data-index="${here}"]`);
    if (tile) tile.focus();
    else scrollBy(0, box.current.getBoundingClientRect().top + Math.floor(here / columns) * height - innerHeight / 2);
  }, [here]);
  const shown = tasks.slice(from, to);
  const focusable = here >= from && here < to ? here : from;
  return html`<div ref=${box}><ul ref=${body} class="tiles" role="listbox" aria-multiselectable="true" aria-label=${t("Frames of job {id}", job)} style=${{
    gridTemplateColumns: `repeat(${columns}, 1fr)`,
    paddingTop: `${(from / columns) * height}px`,
    paddingBottom: `${Math.max(0, lines - Math.ceil(to / columns)) * height}px`,
  }} onKeyDown=${(event) => {
    moved.current = event.key.startsWith("Arrow") || ["Home", "End", "PageUp", "PageDown"].includes(event.key);
    onKey(event);
  }}>${shown.map((task, offset) => {
    const index = from + offset;
    return html`<${Tile} key=${task.frame} job=${job} task=${task} index=${index} chosen=${chosen.has(task.frame)}
      focusable=${index === focusable} count=${tasks.length} onClick=${onClick} />`;
  })}</ul></div>`;
}

function Tile({ job, task, index, chosen, focusable, count, onClick }) {
  const who = task.slave == null ? "" : slaveName(task.slave);
  const told =
    task.state === "done"
      ? duration(task.seconds)
      : task.state === "sharing" && task.samples
        ? t(task.unit === "lines" ? "{done}/{all} lines" : "{done}/{all} samples", { done: task.samples[0], all: task.samples[1] })
        : task.finishing
          ? t("being finished")
          : task.state === "waiting"
          ? ""
          : who;
  return html`<li role="option" class=${`tile is-${task.state}`} aria-selected=${chosen} aria-posinset=${index + 1}
    aria-setsize=${count} tabindex=${focusable ? 0 : -1} data-index=${index} data-frame=${task.frame}
    title=${task.error ? task.error.message.slice(-300) : undefined} onClick=${(event) => onClick(index, event)}>
    <${Picture} src=${picture(job, task)} />
    <span class="tile-text">
      <${State} state=${task.state}><b>${task.frame}</b><span class="unseen">${stateName(task.state)}</span><//>
      <small>${told}</small></span>
  </li>`;
}

const cellSize = (count) => (count > 40000 ? 5 : count > 8000 ? 7 : 12);

function FrameMap({ job, tasks, chosen, choose }) {
  const canvas = useRef(null);
  const [width, setWidth] = useState(800);
  const size = cellSize(tasks.length);
  const columns = Math.max(1, Math.floor(width / size));
  const lines = Math.ceil(tasks.length / columns);
  const { here, setAt, anchor, span, onClick, onKey } = useChoice(job, tasks, chosen, choose, columns);
  const [pointed, setPointed] = useState(null);
  const [theme, setTheme] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(canvas.current.parentElement);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => setTheme((n) => n + 1);
    const watch = new MutationObserver(repaint);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    dark.addEventListener("change", repaint);
    return () => {
      observer.disconnect();
      watch.disconnect();
      dark.removeEventListener("change", repaint);
    };
  }, []);
  useLayoutEffect(() => {
    const scale = lines * size * devicePixelRatio > 16000 ? 1 : devicePixelRatio;
    canvas.current.width = columns * size * scale;
    canvas.current.height = lines * size * scale;
    const paint = canvas.current.getContext("2d");
    paint.scale(scale, scale);
    const probe = document.createElement("i");
    canvas.current.parentElement.append(probe);
    const colour = (name) => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    const colours = { waiting: colour("waiting"), leased: colour("rendering"), sharing: colour("rendering"), done: colour("done"), failed: colour("failed") };
    const text = colour("text");
    probe.remove();
    const gap = size > 6 ? 1.5 : 1;
    tasks.forEach((task, index) => {
      const x = (index % columns) * size;
      const y = Math.floor(index / columns) * size;
      paint.fillStyle = colours[task.state];
      paint.fillRect(x, y, size - gap, size - gap);
      if (chosen.has(task.frame)) {
        paint.strokeStyle = text;
        paint.lineWidth = 1.5;
        paint.strokeRect(x + 0.25, y + 0.25, size - gap - 0.5, size - gap - 0.5);
      }
    });
    paint.strokeStyle = text;
    paint.lineWidth = 2;
    paint.strokeRect((here % columns) * size - 0.5, Math.floor(here / columns) * size - 0.5, size - gap + 1, size - gap + 1);
  }, [tasks, chosen, columns, lines, size, here, theme]);
  const under = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / size);
    const index = Math.floor((event.clientY - box.top) / size) * columns + x;
    return x < columns && index >= 0 && index < tasks.length ? index : null;
  };
  const drag = useRef(null);
  const describe = (task) => {
    const time = task.seconds == null ? "" : `, ${duration(task.seconds)}`;
    const slave = task.slave == null ? "" : `, ${slaveName(task.slave)}`;
    return `${t("Frame {frame}", task)}: ${stateName(task.state)}${time}${slave}`;
  };
  const told = tasks[pointed ?? here];
  return html`<div class="map">
    <p class="map-told" aria-hidden="true"><${State} state=${told.state}>${describe(told)}<//></p>
    <canvas ref=${canvas} tabindex="0" role="slider" aria-label=${t("Frames of job {id}", job)}
      aria-valuemin=${tasks[0].frame} aria-valuemax=${tasks.at(-1).frame} aria-valuenow=${tasks[here].frame}
      aria-valuetext=${describe(tasks[here]) + (chosen.has(tasks[here].frame) ? `, ${t("chosen")}` : "")}
      style=${{ width: `${columns * size}px`, height: `${lines * size}px` }}
      onKeyDown=${onKey}
      onPointerDown=${(event) => {
        drag.current = under(event);
        if (drag.current !== null) canvas.current.setPointerCapture(event.pointerId);
      }}
      onPointerMove=${(event) => {
        const index = under(event);
        setPointed(index);
        if (drag.current === null || index === null || index === drag.current) return;
        anchor.current = drag.current;
        setAt(index);
        span(index, drag.current);
      }}
      onPointerUp=${(event) => {
        const index = under(event);
        if (index !== null && index === drag.current) onClick(index, event);
        drag.current = null;
      }}
      onPointerLeave=${() => setPointed(null)}></canvas>
    <p><small>${t("Click a field to open it, drag to choose. Keys: arrows, Shift with arrows, Space, Enter.")}</small></p>
  </div>`;
}
