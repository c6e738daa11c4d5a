// Settings of a job, some of which can be changed while it is on the farm, with optimistic
// concurrency (see editing.js).

import { patch, put, remove } from "../api.js";
import { Action, Empty } from "../controls.js";
import { useEditing } from "../editing.js";
import { exactMoment } from "../format.js";
import { html } from "../html.js";
import { t } from "../language.js";
import { slaveName, slaves } from "../farm-feed.js";

const read = (job) => ({
  name: job.name,
  category: job.category,
  priority: String(job.priority),
  chunk: String(job.spec.chunk),
  tags: (job.spec.tags ?? []).join(", "),
});

const meant = {
  name: (text) => text.trim(),
  category: (text) => text.trim(),
  priority: Number,
  chunk: Number,
  tags: (text) => text.split(",").map((tag) => tag.trim()).filter(Boolean),
};

function Edit({ job }) {
  const send = async (typed, headers) => {
    const body = Object.fromEntries(Object.entries(typed).map(([key, text]) => [key, meant[key](text)]));
    return (await (await patch(`jobs/${job.id}`, body, headers)).json()).edits;
  };
  const { input, end } = useEditing({ now: read(job), edits: job.edits, send, done: t("Job {id} is changed.", job) });
  const field = (key, label, more) => html`<div class="field"><label for=${`set-${key}`}>${label}</label>${input(key, more)}</div>`;
  return html`<section aria-labelledby="edit"><h2 id="edit">${t("What can be changed")}</h2>
    <form class="form" onSubmit=${(event) => event.preventDefault()}>
      ${field("name", t("Name"))}${field("category", t("Category"))}
      ${field("priority", t("Priority"), { type: "number", min: 0, max: 100 })}${field("chunk", t("Frames a lease"), { type: "number", min: 1 })}
      ${field("tags", t("Tags a slave must have"), { placeholder: "gpu, studio" })}
      ${end()}
    </form></section>`;
}

export function Settings({ job }) {
  const { spec } = job;
  const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  const split = { off: t("whole frames only"), auto: t("while slaves are free"), samples: t("by samples, every frame"), tiles: t("in tiles, every frame") };
  return html`<${Edit} job=${job} />
    <section aria-labelledby="facts"><h2 id="facts">${t("What is as it was sent")}</h2>
    <dl class="facts">
      ${fact(t("Sent"), exactMoment(job.created_ms))}
      ${fact(t("Frames"), job.frames)}
      ${fact(t("Size"), t("{width} × {height} pixels", spec))}
      ${fact(t("Engine"), spec.engine)}
      ${fact("Blender", spec.blender.join("."))}
      ${spec.scene ? fact(t("Scene"), spec.scene) : null}
      ${fact(t("Sharing of frames"), split[spec.split])}
      ${fact(t("The scene's own Python"), job.scripts ? t("needed") : t("not needed"))}
    </dl></section>
    <${Barred} job=${job} />`;
}

/** The job's blacklist. */
function Barred({ job }) {
  const barred = new Set(job.blacklist);
  const all = [...slaves.value.values()].filter((slave) => slave.state !== "gone" || barred.has(slave.id));
  return html`<section aria-labelledby="barred"><h2 id="barred">${t("Which slaves may render it")}</h2>
    ${
      all.length
        ? html`<ul class="ticks">${all.map(
            (slave) => html`<li key=${slave.id}><${Allowed} job=${job} slave=${slave} allowed=${!barred.has(slave.id)} /></li>`,
          )}</ul>`
        : html`<${Empty}>${t("No slaves yet: press Start service in Blender's Slave panel.")}<//>`
    }</section>`;
}

function Allowed({ job, slave, allowed }) {
  const path = `jobs/${job.id}/blacklist/${slave.id}`;
  return html`<span>${slaveName(slave.id)}</span><${Action} id=${`bar-${slave.id}`} label=${allowed ? t("Keep it away") : t("Let it again")} run=${() =>
    (allowed ? put(path) : remove(path))} /><small>${allowed ? "" : t("kept away")}</small>`;
}
