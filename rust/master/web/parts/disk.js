// Use of the master's disk, and deletion of ended jobs, by size or age, to make room.

import { remove } from "../api.js";
import { Action, Empty, State } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { byName, bytes, duration, exactMoment, number } from "../format.js";
import { html, useMemo, useState } from "../html.js";
import { plural, t } from "../language.js";
import { jobList } from "../farm-feed.js";
import { Table } from "../rows.js";

const REST_MS = 5000;
const DAY_MS = 86_400_000;
const ENDED = ["finished", "failed", "canceled"];

/** Films, jobs' files, other files and free space as one bar. */
function Parts({ disk }) {
  const { total_bytes: total, free_bytes: free, films_bytes: films, pieces_bytes: pieces } = disk;
  if (total == null || free == null) return null;
  const other = Math.max(0, total - free - films - pieces);
  const parts = [
    ["films", t("Frames"), films],
    ["pieces", t("Jobs' files"), pieces],
    ["other", t("Other"), other],
    ["free", t("Free"), free],
  ];
  return html`<div class="disk"><div class="bar" role="img" aria-label=${parts.map(([, name, size]) => `${name}: ${bytes(size)}`).join(", ")}>${parts.map(
      ([key, , size]) => html`<i key=${key} class=${`is-${key}`} style=${{ width: `${(100 * size) / total}%` }}></i>`,
    )}</div>
    <ul class="legend" aria-hidden="true">
      ${parts.map(([key, name, size]) => html`<li key=${key} class=${`is-${key}`}>${name} <b>${bytes(size)}</b></li>`)}
    </ul></div>`;
}

const orders = {
  size: (a, b) => b.size - a.size || a.id - b.id,
  age: (a, b) => a.created_ms - b.created_ms || a.id - b.id,
  name: (a, b) => byName(a, b) || a.id - b.id,
};

const deletion = (jobs) => {
  const size = bytes(jobs.reduce((sum, job) => sum + job.size, 0));
  const [job] = jobs;
  return jobs.length === 1
    ? {
        title: t("Delete job {id}?", job),
        text: t("“{name}” goes with all its frames and logs. This can't be undone.", job),
        yes: t("Delete the job"),
      }
    : {
        title: plural(jobs.length, "Delete {n} job?", "Delete {n} jobs?"),
        text: t("They go with all their frames and logs, {size}. This can't be undone.", { size }),
        yes: t("Delete the jobs"),
      };
};

function JobRow({ item: job, index, context: { chosen, toggle, now } }) {
  return html`<tr role="row" aria-rowindex=${index} data-ended=${job.id}>
    <td role="cell" class="c-choose">
      <input type="checkbox" aria-label=${t("Choose job {id}", job)} checked=${chosen.has(job.id)}
        onChange=${() => toggle(job.id)} /></td>
    <td role="cell" class="c-name"><a href=${`#/jobs/${job.id}`} title=${job.name}>${job.id} ${job.name || t("without a name")}</a></td>
    <td role="cell" class="c-state"><${State} state=${job.state}>${t(job.status)}<//></td>
    <td role="cell" class="c-size number">${bytes(job.size)}</td>
    <td role="cell" class="c-age number" title=${exactMoment(job.created_ms)}>${duration(Math.max(0, now - job.created_ms) / 1000)}</td>
    <td role="cell" class="c-actions">
      <${Action} compact icon="trash" kind="quiet" id=${`delete-${job.id}`} label=${t("Delete job {id}", job)}
        done=${t("Job {id} is deleted.", job)} ask=${deletion([job])} run=${() => remove(`jobs/${job.id}`)} /></td>
  </tr>`;
}

export function Disk({ stats }) {
  const { value: sizes } = useDetail("sizes", { rest: REST_MS });
  const [sort, setSort] = useState({ key: "size", down: false });
  const [chosen, setChosen] = useState(() => new Set());
  const [days, setDays] = useState(30);
  const all = jobList.value;
  const items = useMemo(() => {
    const size = new Map((sizes ?? []).map((one) => [one.id, one.films_bytes]));
    const found = all.filter((job) => ENDED.includes(job.state)).map((job) => ({ ...job, size: size.get(job.id) ?? 0 }));
    found.sort(orders[sort.key]);
    return sort.down ? found.reverse() : found;
  }, [all, sizes, sort]);
  const now = Date.now();
  const picked = items.filter((job) => chosen.has(job.id));
  const toggle = (id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const chooseOld = () => setChosen(new Set(items.filter((job) => now - job.created_ms >= days * DAY_MS).map((job) => job.id)));
  const deleteAll = async () => {
    for (const job of picked) await remove(`jobs/${job.id}`);
    setChosen(new Set());
  };
  const columns = [
    { key: "choose", title: html`<span class="unseen">${t("Choice")}</span>` },
    { key: "name", title: t("Job"), sort: true },
    { key: "state", title: t("State") },
    { key: "size", title: t("Frames on disk"), sort: true },
    { key: "age", title: t("Sent before"), sort: true },
    { key: "actions", title: html`<span class="unseen">${t("Actions")}</span>` },
  ];
  return html`<section class="room" aria-labelledby="disk"><h2 id="disk">${t("Disk")}</h2>
    ${stats ? html`<${Parts} disk=${stats.disk} />` : null}
    <h3 id="ended">${t("Jobs that have ended")} <span class="count">${number(items.length)}</span></h3>
    ${
      items.length
        ? html`<form class="row" onSubmit=${(event) => {
            event.preventDefault();
            chooseOld();
          }}>
          <label for="days">${t("Sent so many days ago or earlier")}</label>
          <input id="days" class="short" type="number" min="0" value=${days}
            onInput=${(event) => setDays(Number(event.target.value))} />
          <button class="button" data-action="choose-old">${t("Choose them")}</button>
          <span class="count" aria-live="polite">
            ${picked.length
              ? `${plural(picked.length, "{n} job", "{n} jobs")}, ${bytes(picked.reduce((sum, job) => sum + job.size, 0))}`
              : t("none")}</span>
          <${Action} icon="trash" kind="is-danger" id="delete-chosen" label=${t("Delete chosen")}
            disabled=${!picked.length} ask=${picked.length ? deletion(picked) : undefined}
            done=${plural(picked.length, "{n} job is deleted.", "{n} jobs are deleted.")} run=${deleteAll} /></form>
        <div class="list story" tabindex="0" role="region" aria-labelledby="ended">
          <${Table} label=${t("Jobs that have ended")} className="ended" columns=${columns} items=${items} Row=${JobRow}
            sort=${sort} onSort=${(key) => setSort((old) => ({ key, down: old.key === key && !old.down }))}
            context=${{ chosen, toggle, now }} /></div>`
        : html`<${Empty}>${t("No job has ended yet.")}<//>`
    }
  </section>`;
}
