// A slave: its work and its properties.

import { post } from "../api.js";
import { Action, Bar, NotFound, State } from "../controls.js";
import { bytes, fraction, number, version } from "../format.js";
import { html } from "../html.js";
import { plural, t } from "../language.js";
import { jobs, loaded, slaves } from "../farm-feed.js";
import { slaveTone } from "./overview.js";
import { SlaveSettings } from "../parts/slave-settings.js";
import { Lately } from "../parts/timeline.js";

export function SlavePage({ path: [id] }) {
  const slave = slaves.value.get(Number(id));
  if (!slave) return loaded.value
    ? html`<${NotFound} what=${t("There is no slave {id}", { id })}
      text=${t("The overview lists those that this master knows.")} />`
    : null;
  return html`<div class="page"><${Head} slave=${slave} /><${Lately} slave=${slave} /><${SlaveSettings} slave=${slave} /><${Facts} slave=${slave} /></div>`;
}

function Head({ slave }) {
  const job = jobs.value.get(slave.job);
  const part = fraction(slave.progress);
  return html`<header class="head">
    <nav class="crumbs" aria-label=${t("You are here")}><a href="#/">${t("Slaves")}</a></nav>
    <div class="row"><h1>${slave.name}</h1><${State} state=${slaveTone(slave)}>${slave.status}<//>
      ${job ? html`<a href=${slave.frame == null ? `#/jobs/${job.id}` : `#/jobs/${job.id}/frames/${slave.frame}`}>
        ${job.name}</a><span class="why">${slave.progress}</span>` : null}
      <${Orders} slave=${slave} /></div>
    ${job ? html`<${Bar} total=${1} done=${0} rendering=${part ?? 0} label=${t("Progress of {name}", slave)} />` : null}
  </header>`;
}

/** Orders to a slave. */
function Orders({ slave }) {
  if (slave.state === "gone") return null;
  const order = (verb) => () => post(`slaves/${slave.id}/${verb}`);
  return html`<div class="row push">
    ${
      slave.paused || slave.draining
        ? html`<${Action} icon="play" id="resume" label=${t("Resume")} done=${t("{name} gets work again.", slave)} run=${order("resume")} />`
        : html`<${Action} icon="pause" id="pause" label=${t("Pause")}
          done=${t("{name} ends what it has and gets no new work.", slave)} run=${order("pause")} />`
    }
    ${slave.draining
      ? null
      : html`<${Action} icon="drain" id="drain" label=${t("Drain")}
        done=${t("{name} ends what it has and then stops.", slave)} run=${order("drain")} />`}
    <${Action} icon="stop" kind="is-danger" id="stop" label=${t("Stop")} done=${t("{name} stops.", slave)} run=${order("stop")} ask=${{
      title: t("Stop {name}?", slave),
      text: t("It gives back what it has, and must be started again on its machine."),
      yes: t("Stop the slave"),
    }} />
  </div>`;
}

function Facts({ slave }) {
  const { info } = slave;
  const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<section aria-labelledby="facts"><h2 id="facts">${t("What it is")}</h2><dl class="facts">
    ${fact(t("Machine"), info.host)}
    ${fact(t("System"), info.os)}
    ${fact("Blender", `${version(slave.blender)}${info.build_hash ? ` (${info.build_hash})` : ""}`)}
    ${fact(t("Threads"), number(slave.threads))}
    ${fact(t("Memory"), bytes(info.memory_bytes))}
    ${fact(t("Devices"), info.devices.map((device) => `${device.type}: ${device.name}`).join(", ") || "CPU")}
    ${fact(t("Engines"), slave.engines.join(", "))}
    ${fact(t("Tags"), info.tags.length ? info.tags.join(", ") : "–")}
    ${fact(t("Built with"), plural(info.build_options.length, "{n} option", "{n} options"))}
  </dl></section>`;
}
