// Why a job's frames may differ from those that the artist's own Blender renders.

import { html } from "../html.js";
import { t } from "../language.js";

export function Warnings({ job }) {
  const warnings = job.spec.warnings ?? [];
  if (!warnings.length) return null;
  return html`<section class="warnings" aria-labelledby="warnings">
    <h2 id="warnings">${t("May differ from what the artist's Blender renders")}</h2>
    <ul>${warnings.map((warning, at) =>
      html`<li key=${at} class=${warning.severity === "wrong" ? "is-wrong" : ""}>
        ${warning.where ? html`<strong>${warning.where}</strong>: ` : null}${warning.message}
        ${warning.hint ? html` <span class="why">${warning.hint}</span>` : null}</li>`)}</ul>
  </section>`;
}
