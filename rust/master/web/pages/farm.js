// The farm as a whole: settings, disk, history, errors.

import { Empty, Figure } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { bytes, exactMoment, moment, number, percent } from "../format.js";
import { html } from "../html.js";
import { t } from "../language.js";
import { info } from "../farm-feed.js";
import { Balance } from "../parts/balance.js";
import { Disk } from "../parts/disk.js";
import { Gantt } from "../parts/timeline.js";

export function FarmPage() {
  const about = info.value;
  const { value: stats } = useDetail("stats", { rest: 5000 });
  const { value: history } = useDetail("history?limit=100", { rest: 3000 });
  const { value: errors } = useDetail("errors", { rest: 5000 });
  if (!about) return null;
  const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<div class="page">
    <header class="head"><h1>${about.name}</h1>
      <dl class="figures">
        <${Figure} label=${t("Used in the last hour")} value=${stats?.utilisation == null ? "–" : percent(stats.utilisation)} />
        <${Figure} label=${t("Frames in the last hour")} value=${stats ? number(stats.frames_per_hour) : "–"} />
        <${Figure} label=${t("Frames waiting")} value=${stats ? number(stats.queue_frames) : "–"} />
        <${Figure} label=${t("Failures in a day")} value=${stats ? number(stats.errors_24h) : "–"} tone=${stats?.errors_24h ? "bad" : ""} />
        <${Figure} label=${t("Frames on disk")} value=${bytes(stats?.disk.films_bytes)} />
        <${Figure} label=${t("Jobs' files on disk")} value=${bytes(stats?.disk.pieces_bytes)} />
        <${Figure} label=${t("Room on the disk")} value=${bytes(stats?.disk.free_bytes ?? about.free_bytes)} />
      </dl></header>
    <${Gantt} />
    <div class="two">
      <${Story} id="errors" title=${t("What failed in the last day")} none=${t("Nothing failed.")} happenings=${errors} />
      <${Story} id="events" title=${t("What happened")} none=${t("Nothing yet.")} happenings=${history} />
    </div>
    <${Balance} />
    <${Disk} stats=${stats} />
    <section aria-labelledby="settings"><h2 id="settings">${t("Settings")}</h2><dl class="facts">
      ${fact("netrender", about.version)}
      ${fact(t("The scenes' own Python"), about.scripts ? t("runs, for jobs that need it") : t("does not run"))}
      ${fact(t("Attempts a frame has"), about.retry.attempts)}
      ${fact(t("Failures after which a slave gets no more of a job"), about.retry.slave_failures)}
    </dl></section>
  </div>`;
}

function Story({ id, title, none, happenings }) {
  if (!happenings) return null;
  const about = ({ job, frame, slave }) =>
    job != null ? (frame != null ? `#/jobs/${job}/frames/${frame}` : `#/jobs/${job}`) : slave != null ? `#/slaves/${slave}` : null;
  const line = (one) => (about(one) ? html`<a href=${about(one)}>${one.text}</a>` : one.text);
  return html`<section aria-labelledby=${id}><h2 id=${id}>${title} <span class="count">${number(happenings.length)}</span></h2>
    <div class="list story" tabindex="0" role="region" aria-labelledby=${id}>${
      happenings.length
        ? html`<table aria-labelledby=${id}>
          <tbody>${happenings.map((one, at) =>
            html`<tr key=${`${one.at_ms} ${at}`}>
              <th scope="row" title=${exactMoment(one.at_ms)}>${moment(one.at_ms)}</th><td>${line(one)}</td></tr>`)}
          </tbody></table>`
        : html`<${Empty}>${none}<//>`
    }</div></section>`;
}
