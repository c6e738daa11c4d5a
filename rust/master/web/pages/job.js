// A job: actions, frames, times, files, settings.

import { post, remove } from "../api.js";
import { Action, Bar, Figure, NotFound, State, Tabs } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { bytes, duration, number } from "../format.js";
import { html, useEffect } from "../html.js";
import { t } from "../language.js";
import { jobs, loaded } from "../farm-feed.js";
import { go } from "../route.js";
import { Files } from "../parts/files.js";
import { Frames } from "../parts/frames.js";
import { FramePage } from "./frame.js";
import { tone, why } from "./overview.js";
import { Settings } from "../parts/job-settings.js";
import { Times } from "../parts/times.js";
import { Warnings } from "../parts/warnings.js";

const tabs = ["frames", "times", "files", "settings"];

export function JobPage({ path: [id, tab = "frames", frame] }) {
  const row = jobs.value.get(Number(id));
  // Of an ended job only the settings can change.
  const follow = row !== undefined && (!hasEnded(row) || tab === "settings");
  const { value: job, error } = useDetail(row ? `jobs/${id}` : null, { follow });
  useEffect(() => {
    if (job) document.title = `${job.id} ${job.name} – netrender`;
    return () => {
      document.title = "netrender";
    };
  }, [job?.name]);
  if (!row && loaded.value) return html`<${NotFound} what=${t("There is no job {id}", { id })} text=${t("It may have been deleted.")} />`;
  if (error) return html`<${NotFound} what=${error.message} text=${error.hint} />`;
  if (!row || !job) return null;
  if (!tabs.includes(tab)) return html`<${NotFound} what=${t("There is no such page")} text=${t("Perhaps the address was cut off.")} />`;
  if (tab === "frames" && frame !== undefined) return html`<${FramePage} key=${frame} job=${job} frame=${frame} />`;
  // The lists are a moment ahead of the job's own response. A form needs values and revision of the
  // same moment, so it takes both from one of them.
  const now = { ...job, ...row };
  return html`<div class="page">
    <${Head} job=${now} />
    <${Warnings} job=${job} />
    <${Tabs} label=${t("Parts of the job")} current=${tab} tabs=${[
      ["frames", t("Frames"), `#/jobs/${id}`, job.total],
      ["times", t("Times"), `#/jobs/${id}/times`],
      ["files", t("Files"), `#/jobs/${id}/files`],
      ["settings", t("Settings"), `#/jobs/${id}/settings`],
    ]} />
    ${tab === "frames" ? html`<${Frames} job=${job} />` : null}
    ${tab === "times" ? html`<${Times} job=${job} />` : null}
    ${tab === "files" ? html`<${Files} job=${job} />` : null}
    ${tab === "settings" ? html`<${Settings} job=${job} />` : null}
  </div>`;
}

const hasEnded = (row) => row !== undefined && ["finished", "failed", "canceled"].includes(row.state);

function Head({ job }) {
  const times = job.tasks.filter((task) => task.seconds != null).map((task) => task.seconds);
  const mean = times.length ? times.reduce((a, b) => a + b, 0) / times.length : null;
  const bytesDone = job.tasks.reduce((sum, task) => sum + (task.film_bytes ?? 0), 0);
  const verb = (name) => () => post(`jobs/${job.id}/${name}`);
  const ended = hasEnded(job);
  return html`<header class="head">
    <nav class="crumbs" aria-label=${t("You are here")}><a href="#/">${t("Jobs")}</a></nav>
    <div class="row">
      <h1><span class="count">${job.id}</span> ${job.name || t("without a name")}</h1>
      <${State} state=${tone(job)}>${t(job.status)}<//>${why(job) ? html`<span class="why">${why(job)}</span>` : null}
      <div class="row push">
        ${job.state === "paused"
          ? html`<${Action} icon="play" id="resume" label=${t("Resume")} done=${t("Job {id} goes on.", job)}
            run=${verb("resume")} />`
          : null}
        ${job.state === "active"
          ? html`<${Action} icon="pause" id="pause" label=${t("Pause")}
            done=${t("Job {id} is paused; what is rendering ends.", job)} run=${verb("pause")} />`
          : null}
        ${job.failed || job.state === "canceled"
          ? html`<${Action} icon="again" id="requeue" label=${t("Requeue")}
            done=${t("Job {id} is in the queue again.", job)} run=${verb("requeue")} />`
          : null}
        ${ended ? null : html`<${Action} icon="stop" id="cancel" label=${t("Cancel")} done=${t("Job {id} is canceled.", job)} run=${verb("cancel")} ask=${{
          title: t("Cancel job {id}?", job),
          text: t("What is rendering stops. Finished frames stay, and the job can be requeued."),
          yes: t("Cancel the job"),
        }} />`}
        <${Action} icon="trash" kind="is-danger" id="delete" label=${t("Delete")} done=${t("Job {id} is deleted.", job)} ask=${{
          title: t("Delete job {id}?", job),
          text: t("“{name}” goes with all its frames and logs. This can't be undone.", job),
          yes: t("Delete the job"),
        }} run=${async () => {
          await remove(`jobs/${job.id}`);
          go("/");
        }} />
      </div>
    </div>
    <${Bar} ...${job} label=${t("Frames done of job {id}", job)} />
    <dl class="figures">
      <${Figure} label=${t("Frames done")} value=${number(job.done)} note=${t("of {n}", { n: number(job.total) })} />
      <${Figure} label=${t("Rendering")} value=${number(job.rendering)} />
      <${Figure} label=${t("Failed")} value=${number(job.failed)} tone=${job.failed ? "bad" : ""} />
      <${Figure} label=${t("Time left")} value=${job.left_s == null ? "–" : duration(job.left_s)} />
      <${Figure} label=${t("Mean time of a frame")} value=${duration(mean)} />
      <${Figure} label=${t("Frames on disk")} value=${bytes(bytesDone)} />
    </dl>
  </header>`;
}
