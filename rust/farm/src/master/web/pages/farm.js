// The farm as a whole: what it is set to, how full its disk is.

import { Figure } from "../controls.js";
import { bytes, number } from "../format.js";
import { html } from "../html.js";
import { t } from "../language.js";
import { info, jobList, slaveList } from "../live.js";

export function FarmPage() {
  const about = info.value;
  if (!about) return null;
  const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<div class="page">
    <header class="head"><h1>${about.name}</h1>
      <dl class="figures">
        <${Figure} label=${t("Jobs")} value=${number(jobList.value.length)} />
        <${Figure} label=${t("Slaves")} value=${number(slaveList.value.length)} />
        <${Figure} label=${t("Room on the disk")} value=${bytes(about.free_bytes)} />
      </dl></header>
    <section aria-labelledby="settings"><h2 id="settings">${t("Settings")}</h2><dl class="facts">
      ${fact("netrender", about.version)}
      ${fact(t("The scenes' own Python"), about.scripts ? t("runs, for jobs that need it") : t("does not run"))}
      ${fact(t("Attempts a frame has"), about.retry.attempts)}
      ${fact(t("Failures after which a slave gets no more of a job"), about.retry.slave_failures)}
    </dl></section>
  </div>`;
}
