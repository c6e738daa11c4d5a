// All jobs and all slaves at a glance.

import { post } from "../api.js";
import { Action, Bar, Empty, Figure, Picture, Spark, State } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { byName, bytes, duration, fraction, number, percent, version } from "../format.js";
import { html, useMemo, useState } from "../html.js";
import { plural, t } from "../language.js";
import { jobList, jobs, loaded, places, slaveList } from "../farm-feed.js";
import { KEPT, beat, loadOf } from "../utilisation.js";
import { Table } from "../rows.js";
import { Priority, dropping } from "../parts/priority.js";

/** Colour of a job's state. */
export const tone = (job) => (job.state === "active" ? (job.rendering ? "rendering" : "waiting") : job.state);

const rank = { active: 0, paused: 1, failed: 2, finished: 3, canceled: 3 };

// The order in which slaves consider jobs; then ended jobs, the latest first.
const inQueue = (a, b) =>
  rank[a.state] - rank[b.state] ||
  (rank[a.state] < 2 ? b.priority - a.priority || a.id - b.id : b.id - a.id);

const orders = {
  id: (a, b) => a.id - b.id,
  name: byName,
  state: inQueue,
  progress: (a, b) => a.done / a.total - b.done / b.total,
  priority: (a, b) => a.priority - b.priority,
  left: (a, b) => (a.left_s ?? Infinity) - (b.left_s ?? Infinity),
};

/** Reason why nothing of a job is rendering, and the jobs before it. */
export function why(job) {
  const before = job.state === "active" && !job.rendering ? places.value.get(job.id) : 0;
  return [job.why, before ? plural(before, "{n} job before it", "{n} jobs before it") : null].filter(Boolean).join(" · ");
}

function JobRow({ item: job, index, context: drags }) {
  const drop = dropping.value?.over === job.id
    ? (dropping.value.above ? "drop-above" : "drop-below")
    : dropping.value?.dragged === job.id ? "dragged" : undefined;
  const open = `#/jobs/${job.id}`;
  const counted = t("{done} of {total}", { done: number(job.done), total: number(job.total) });
  return html`<tr role="row" aria-rowindex=${index} data-job=${job.id} class=${drop}>
    <td role="cell" class="c-picture">
      <a href=${open} tabindex="-1" aria-hidden="true">
        <${Picture} src=${job.done ? `/thumb_${job.id}.jpg?${job.done}` : null} /></a></td>
    <td role="cell" class="c-id">${job.id}</td>
    <td role="cell" class="c-name"><a href=${open} title=${job.name}>${job.name || t("without a name")}</a><small>${job.category}</small></td>
    <td role="cell" class="c-state"><${State} state=${tone(job)}>${t(job.status)}<//><small title=${why(job)}>${why(job)}</small></td>
    <td role="cell" class="c-progress"><${Bar} ...${job} label=${t("Frames done of job {id}", job)} /><small>${counted}${
      job.failed ? html` · <b class="bad">${plural(job.failed, "{n} failed", "{n} failed")}</b>` : null
    }${job.rendering ? ` · ${t("{n} rendering", { n: number(job.rendering) })}` : null}</small></td>
    <td role="cell" class="c-priority"><${Priority} job=${job} drags=${drags && rank[job.state] < 2} /></td>
    <td role="cell" class="c-left">${job.left_s == null ? "" : duration(job.left_s)}</td>
    <td role="cell" class="c-actions">${
      job.state === "paused"
        ? html`<${Action} compact icon="play" kind="quiet" id="resume" label=${t("Resume job {id}", job)} run=${() => post(`jobs/${job.id}/resume`)} />`
        : job.state === "active"
          ? html`<${Action} compact icon="pause" kind="quiet" id="pause" label=${t("Pause job {id}", job)} run=${() => post(`jobs/${job.id}/pause`)} />`
          : null
    }</td>
  </tr>`;
}

function Jobs() {
  const [text, setText] = useState("");
  const [state, setState] = useState("all");
  const [sort, setSort] = useState({ key: "state", down: false });
  const all = jobList.value;
  const items = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const fits = (job) =>
      (state === "all" || job.state === state) &&
      (!wanted || `${job.id} ${job.name} ${job.category}`.toLowerCase().includes(wanted));
    const found = all.filter(fits).sort(orders[sort.key]);
    return sort.down ? found.reverse() : found;
  }, [all, text, state, sort]);
  const onSort = (key) => setSort((old) => ({ key, down: old.key === key && !old.down }));
  const columns = [
    { key: "picture", title: html`<span class="unseen">${t("Picture")}</span>` },
    { key: "id", title: t("No."), sort: true },
    { key: "name", title: t("Job"), sort: true },
    { key: "state", title: t("State"), sort: true },
    { key: "progress", title: t("Frames"), sort: true },
    { key: "priority", title: t("Priority"), sort: true },
    { key: "left", title: t("Time left"), sort: true },
    { key: "actions", title: html`<span class="unseen">${t("Actions")}</span>` },
  ];
  return html`<section class="pane pane-jobs" aria-labelledby="jobs">
    <header class="pane-head"><h2 id="jobs">${t("Jobs")} <span class="count">${number(all.length)}</span></h2>
      <input type="search" placeholder=${t("Find a job")} aria-label=${t("Find a job")} value=${text} onInput=${(event) => setText(event.target.value)} />
      <select aria-label=${t("Jobs in state")} value=${state} onChange=${(event) => setState(event.target.value)}>
        <option value="all">${t("All states")}</option><option value="active">${t("In the queue")}</option><option value="paused">${t("Paused")}</option>
        <option value="finished">${t("Finished")}</option><option value="failed">${t("Failed")}</option><option value="canceled">${t("Canceled")}</option>
      </select></header>
    <div class="scroll" tabindex="-1">${
      items.length
        ? html`<${Table} label=${t("Jobs")} className="jobs" columns=${columns} items=${items} Row=${JobRow}
          context=${sort.key === "state" && !sort.down} sort=${sort} onSort=${onSort} />`
        : loaded.value && html`<${Empty}>${all.length ? t("No job is like that.") : t("No jobs yet: press Send Job in Blender.")}<//>`
    }</div></section>`;
}

export const slaveTone = (slave) =>
  slave.state === "ready" ? (slave.job ? "rendering" : slave.paused || slave.draining ? "paused" : "ready") : slave.state === "lost" ? "failed" : "gone";

/** State of a slave without work, in a word. */
function slaveWord(slave) {
  if (slave.state === "lost") return t("Lost");
  if (slave.state === "gone") return t("Stopped");
  return slave.paused ? t("Paused") : slave.draining ? t("Stopping") : t("Ready");
}

/** Utilisation while the page was open. */
function Load({ slave }) {
  beat.value; // drawn again with each new number
  const values = loadOf(slave.id);
  const mean = values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
  const label = t("{name} was busy for {part} of the last minutes", { name: slave.name, part: percent(mean) });
  return html`<${Spark} values=${values} most=${KEPT} label=${label} />`;
}

/** Throughput in frames per hour. */
function speed(stats) {
  if (!stats) return "";
  if (stats.frames_per_hour) return plural(stats.frames_per_hour, "{n} frame/h", "{n} frames/h");
  if (stats.tiles_per_hour) return plural(stats.tiles_per_hour, "{n} tile/h", "{n} tiles/h");
  return stats.samples_per_hour ? plural(stats.samples_per_hour, "{n} sample/h", "{n} samples/h") : "";
}

function SlaveRow({ item: slave, index, context: speeds }) {
  const part = fraction(slave.progress);
  const doing =
    slave.job == null
      ? null
      : slave.frame == null
        ? html`<a href=${`#/jobs/${slave.job}`}>${t("Job {job}", slave)}</a>`
        : html`<a href=${`#/jobs/${slave.job}/frames/${slave.frame}`}>${t("Job {job}, frame {frame}", slave)}</a>`;
  return html`<tr role="row" aria-rowindex=${index} data-slave=${slave.id}>
    <td role="cell" class="c-name"><a href=${`#/slaves/${slave.id}`} title=${slave.name}>${slave.name}</a>
      <small title=${t("Finished in the last hour")}>
        ${[slave.info.host, speed(speeds.get(slave.id))].filter(Boolean).join(" · ")}</small></td>
    <td role="cell" class="c-state"><${State} state=${slaveTone(slave)}>${doing ?? slaveWord(slave)}<//>
      <small>${slave.draining ? t("stops after this") : slave.paused && doing
        ? t("paused after this")
        : slave.progress}</small></td>
    <td role="cell" class="c-progress">
      ${doing && html`<${Bar} total=${1} done=${0} rendering=${part ?? 0} label=${t("Progress of {name}", slave)} />`}
      <${Load} slave=${slave} /></td>
    <td role="cell" class="c-machine" title=${slave.info.devices.map((device) => device.name).join("\n")}>${version(slave.blender)}<small>${
      [...new Set(slave.info.devices.map((device) => device.type))].join(", ") || "CPU"
    } · ${plural(slave.threads, "{n} thread", "{n} threads")}</small></td>
  </tr>`;
}

const slaveRank = (slave) => (slave.state === "ready" ? (slave.job ? 0 : 1) : slave.state === "lost" ? 2 : 3);

function Slaves({ stats }) {
  const [text, setText] = useState("");
  const all = slaveList.value;
  const items = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return all
      .filter((slave) => !wanted || `${slave.name} ${slave.info.host}`.toLowerCase().includes(wanted))
      .sort((a, b) => Math.floor(slaveRank(a) / 2) - Math.floor(slaveRank(b) / 2) || byName(a, b) || a.id - b.id);
  }, [all, text]);
  const speeds = useMemo(() => new Map((stats?.slaves ?? []).map((one) => [one.id, one])), [stats]);
  const columns = [
    { key: "name", title: t("Slave") },
    { key: "state", title: t("Does") },
    { key: "progress", title: t("Progress") },
    { key: "machine", title: t("Blender, devices") },
  ];
  return html`<section class="pane pane-slaves" aria-labelledby="slaves">
    <header class="pane-head"><h2 id="slaves">${t("Slaves")} <span class="count">${number(all.length)}</span></h2>
      <input type="search" placeholder=${t("Find a slave")} aria-label=${t("Find a slave")} value=${text}
        onInput=${(event) => setText(event.target.value)} /></header>
    <div class="scroll" tabindex="-1">${
      items.length
        ? html`<${Table} label=${t("Slaves")} className="slaves" columns=${columns} items=${items} Row=${SlaveRow} context=${speeds} />`
        : loaded.value && html`<${Empty}>${all.length ? t("No slave is like that.") : t("No slaves yet: press Start service in Blender's Slave panel.")}<//>`
    }</div></section>`;
}

function Figures({ stats }) {
  let open = 0;
  let waiting = 0;
  let rendering = 0;
  for (const job of jobs.value.values()) {
    if (job.state !== "active") continue;
    open += 1;
    rendering += job.rendering;
    waiting += job.total - job.done - job.failed - job.rendering;
  }
  const ready = slaveList.value.filter((slave) => slave.state === "ready");
  const busy = ready.filter((slave) => slave.job != null).length;
  const lost = slaveList.value.filter((slave) => slave.state === "lost").length;
  return html`<dl class="figures">
    <${Figure} label=${t("Jobs in the queue")} value=${number(open)} />
    <${Figure} label=${t("Frames waiting")} value=${number(waiting)} />
    <${Figure} label=${t("Frames rendering")} value=${number(rendering)} />
    <${Figure} label=${t("Slaves busy")} value=${number(busy)} note=${t("of {n}", { n: number(ready.length) })} />
    <${Figure} label=${t("Used in the last hour")} value=${stats?.utilisation == null ? "–" : percent(stats.utilisation)} />
    <${Figure} label=${t("Frames in the last hour")} value=${stats ? number(stats.frames_per_hour) : "–"} />
    <${Figure} label=${t("Room on the disk")} value=${bytes(stats?.disk.free_bytes)} />
    ${lost ? html`<${Figure} label=${t("Slaves lost")} value=${number(lost)} tone="bad" />` : null}
  </dl>`;
}

/** Interval of requests for hourly figures, in ms; they need not be asked for more often. */
const REST_MS = 10_000;

export function Overview() {
  const { value: stats } = useDetail("stats", { rest: REST_MS });
  return html`<div class="overview"><h1 class="unseen">${t("Overview")}</h1><${Figures} stats=${stats} />
    <div class="panes"><${Jobs} /><${Slaves} stats=${stats} /></div></div>`;
}
