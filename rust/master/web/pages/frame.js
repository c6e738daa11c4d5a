// One frame: its picture, its neighbours, its attempts, its log.

import { film, log, output, post } from "../api.js";
import { Action, Bar, NotFound, State } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { bytes, duration, number } from "../format.js";
import { Icon, html, useEffect, useState } from "../html.js";
import { t } from "../language.js";
import { slaveName } from "../farm-feed.js";
import { go } from "../route.js";
import { Attempts, Shares, readable } from "../parts/attempts.js";
import { Film } from "../parts/film.js";
import { picture, stateName } from "../parts/frames.js";
import { Log } from "../parts/log.js";
import { Compare, FlipBook, Still } from "../parts/viewer.js";
import { Warnings } from "../parts/warnings.js";

export function FramePage({ job, frame }) {
  const at = job.tasks.findIndex((task) => String(task.frame) === frame);
  const [mode, setMode] = useState("still");
  const [attempt, setAttempt] = useState(null);
  const task = job.tasks[at];
  const onItsWay = task !== undefined && task.state !== "done" && task.state !== "failed";
  const { value: detail } = useDetail(task ? `jobs/${job.id}/frames/${frame}` : null, { follow: onItsWay });
  const before = job.tasks[at - 1];
  const after = job.tasks[at + 1];
  const to = (other) => `/jobs/${job.id}/frames/${other.frame}`;
  useEffect(() => {
    const onKey = (event) => {
      if (event.target.closest("input, select, textarea, [role=slider]") || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft" && before) go(to(before));
      if (event.key === "ArrowRight" && after) go(to(after));
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [before?.frame, after?.frame]);
  const read = (number) => {
    setAttempt(number);
    document.querySelector(".log-view")?.scrollIntoView({ block: "nearest" });
  };
  if (!task) return html`<${NotFound} what=${t("Job {id} has no frame {frame}", { id: job.id, frame })} text=${t("Its frames are {frames}.", job)} />`;
  const step = (other, icon, name) =>
    other
      ? html`<a class="button" href=${`#${to(other)}`} aria-label=${name} title=${name}><${Icon} name=${icon} /></a>`
      : html`<button type="button" class="button" disabled aria-label=${name}><${Icon} name=${icon} /></button>`;
  const choose = (key, name, disabled = false) =>
    html`<button type="button" class="button" data-mode=${key} disabled=${disabled} aria-pressed=${mode === key}
      onClick=${() => setMode(key)}>${name}</button>`;
  const src = picture(job, task);
  return html`<div class="page">
    <header class="head">
      <nav class="crumbs" aria-label=${t("You are here")}><a href="#/">${t("Jobs")}</a><a href=${`#/jobs/${job.id}`}>${job.id} ${job.name}</a></nav>
      <div class="row">
        <h1>${t("Frame {frame}", task)}</h1><${State} state=${task.state}>${task.finishing ? t("Merged, being finished") : stateName(task.state)}<//>
        <div class="row" role="group" aria-label=${t("Other frames")}>${step(before, "left", t("Frame before"))}${step(after, "right", t("Frame after"))}</div>
        <div class="row push" role="group" aria-label=${t("View")}>${choose("still", t("Picture"))}
          ${choose("film", "EXR", task.state !== "done")}${choose("compare", t("Compare"))}
          ${choose("play", t("Play"))}</div>
      </div>
    </header>
    <div class="frame-body">
      <div class="stage">
        ${mode === "film" && task.state === "done" ? html`<${Film} key=${task.film} job=${job} task=${task} />` : null}
        ${mode === "still" || (mode === "film" && task.state !== "done")
          ? html`<${Still} src=${src} alt=${t("Frame {frame} of job {id}", { frame: task.frame, id: job.id })}
            empty=${stateName(task.state)} />`
          : null}
        ${mode === "compare" ? html`<${Compare} job=${job} task=${task} />` : null}
        ${mode === "play" ? html`<${FlipBook} job=${job} from=${task.frame} />` : null}
      </div>
      <aside class="side" aria-label=${t("About the frame")}>
        <${Facts} task=${task} />
        ${task.state === "sharing" ? html`<${Together} job=${job} task=${task} />` : null}
        ${task.state === "done" && task.samples ? html`<${More} job=${job} task=${task} />` : null}
        <${Downloads} job=${job} task=${task} />
      </aside>
    </div>
    <${Warnings} job=${job} />
    ${task.error ? html`<section aria-labelledby="why"><h2 id="why" class="after">${t("Why it failed last")}</h2>
      <pre class="log mono" tabindex="0">${task.error.message}</pre></section>` : null}
    ${detail ? html`<${Attempts} attempts=${detail.attempts} shown=${attempt} show=${read} />
      <${Shares} shares=${detail.shares} all=${detail.task.samples?.[1] ?? 0} unit=${detail.task.unit} />` : null}
    ${detail && (detail.task.state === "sharing" || detail.attempts.some(readable))
      ? html`<${Log} job=${job} task=${detail.task} attempt=${attempt} attempts=${detail.attempts}
        choose=${setAttempt} />`
      : null}
  </div>`;
}

/** Unit of the frame's `samples`. */
const counted = (task) => (task.unit === "lines" ? t("Lines") : t("Samples"));

function Facts({ task }) {
  const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  const link = (id) => html`<a href=${`#/slaves/${id}`}>${slaveName(id)}</a>`;
  return html`<dl class="facts">
    ${task.slave == null ? null : fact(task.state === "leased" ? t("Rendering on") : t("Slave"), link(task.slave))}
    ${task.slaves?.length ? fact(t("Rendering on"), task.slaves.map((id, at) => html`${at ? ", " : ""}${link(id)}`)) : null}
    ${task.samples && task.state !== "sharing"
      ? fact(counted(task), t("{done} of {total}", { done: number(task.samples[0]), total: number(task.samples[1]) }))
      : null}
    ${task.seconds == null ? null : fact(t("Time"), duration(task.seconds))}
    ${fact(t("Attempts"), task.attempts)}
    ${task.film_bytes == null ? null : fact(t("EXR"), bytes(task.film_bytes))}
  </dl>`;
}

/** Slaves of a shared frame, with their amounts. */
function Together({ job, task }) {
  const [done, all] = task.samples ?? [0, 0];
  const speeds = job.speeds.filter((speed) => task.slaves.includes(speed.slave));
  const together = speeds.reduce((sum, speed) => sum + speed.samples_per_s, 0);
  return html`<section aria-labelledby="together"><h2 id="together">${t("Rendered by several")}</h2>
    <${Bar} total=${all} done=${done} label=${counted(task)} />
    <p class="why">
      ${t("{done} of {total}", { done: number(done), total: number(all) })} ${task.unit === "lines"
        ? t("lines")
        : t("samples")}${together ? ` · ${t("{time} left", { time: duration((all - done) / together) })}` : null}</p>
    ${speeds.length
      ? html`<div class="list">
        <table aria-labelledby="together">
          <thead><tr><th scope="col">${t("Slave")}</th>
            <th scope="col" class="number">
              ${task.unit === "lines" ? t("Lines a second") : t("Samples a second")}</th></tr></thead>
      <tbody>${speeds.map((speed) =>
        html`<tr key=${speed.slave}><td><a href=${`#/slaves/${speed.slave}`}>${slaveName(speed.slave)}</a></td>
          <td class="number">${number(speed.samples_per_s, 1)}</td></tr>`)}</tbody></table></div>` : null}
    ${done ? html`<${Action} icon="stop" id="hand-over" label=${t("Stop and hand over")}
      done=${t("Frame {frame} is handed over as it is.", task)}
      run=${() => post(`jobs/${job.id}/stop`, { frames: `${task.frame}` })} />` : null}
  </section>`;
}

/**
 * A shared frame can be given samples later; where that would give another picture, the master
 * refuses and says why.
 */
function More({ job, task }) {
  const [done, all] = task.samples;
  const [samples, setSamples] = useState(all > done ? all - done : all);
  if (task.unit === "lines") {
    if (done >= all) return null;
    return html`<${Action} icon="again" id="more" label=${t("Render the lines it lacks")}
      done=${t("Frame {frame} gets the lines it lacks.", task)}
      run=${() => post(`jobs/${job.id}/more`, { samples: all - done, frames: `${task.frame}` })} />`;
  }
  return html`<form class="row" onSubmit=${(event) => event.preventDefault()}><label for="more">${t("More samples")}</label>
    <input id="more" class="short" type="number" min="1" value=${samples} onInput=${(event) => setSamples(Number(event.target.value))} />
    <${Action} icon="again" id="more" label=${t("Render them")} disabled=${!(samples >= 1)}
      done=${t("Frame {frame} gets more samples.", task)}
      run=${() => post(`jobs/${job.id}/more`, { samples: Math.round(samples), frames: `${task.frame}` })} /></form>`;
}

function Downloads({ job, task }) {
  const item = (there, href, name) => (there ? html`<li><a class="button" download href=${href}><${Icon} name="down" />${name}</a></li>` : null);
  const { value: outputs } = useDetail(task.outputs ? `jobs/${job.id}/frames/${task.frame}/outputs` : null);
  return html`<ul class="downloads" aria-label=${t("Downloads")}>
    ${item(task.state === "done", film(job.id, task.frame), "EXR")}
    ${item(task.preview, picture(job, task), "JPEG")}
    ${item(task.state === "done" || task.error, log(job.id, task.frame), t("Log"))}
    ${(outputs ?? []).map((file, at) => item(true, output(job.id, task.frame, at), file.path))}
  </ul>`;
}
