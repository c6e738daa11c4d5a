// Settings of a slave. A value set here overrides the slave's start-up option until it is cleared;
// a running slave gets it at once, another at its next start. Each row shows whether the value is
// in effect.

import { patch } from "../api.js";
import { Action, State } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { useEditing } from "../editing.js";
import { bytes } from "../format.js";
import { html } from "../html.js";
import { t } from "../language.js";

const words = (value) => (Array.isArray(value) ? value.join(", ") : value == null ? "" : String(value));
const list = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);
/** An empty field is not 0, which may mean "no limit". */
const numeral = (text) => (text.trim() === "" ? null : Number(text));

const meant = {
  name: (text) => text.trim(),
  tags: list,
  threads: numeral,
  hang_timeout_s: numeral,
  cache_limit_gb: numeral,
  upload_interval_s: numeral,
};

export function SlaveSettings({ slave }) {
  const { value, ask } = useDetail(`slaves/${slave.id}`);
  const { value: infos } = useDetail("slave-settings", { follow: false });
  if (!value || !infos) return null;
  const ranges = Object.fromEntries(infos.map(({ setting, min, max }) => [setting, { type: "number", min, max }]));
  return html`<${Form} slave=${slave} settings=${value.settings} ranges=${ranges} cached=${value.cache_bytes} ask=${ask} /><${Printed} text=${value.log} />`;
}

function Form({ slave, settings, ranges, cached, ask }) {
  const { set, own, in_use, pending, edits } = settings;
  const now = Object.fromEntries(Object.keys(meant).map((key) => [key, words(set[key] ?? own[key])]));
  const send = async (typed, headers) => {
    const body = Object.fromEntries(Object.entries(typed).map(([key, text]) => [key, text === null ? null : meant[key](text)]));
    const answer = await patch(`slaves/${slave.id}/settings`, body, headers);
    ask();
    return (await answer.json()).edits;
  };
  const { input, end, save } = useEditing({ now, edits, send, done: t("{name} is set.", slave) });
  const use = (key) => {
    if (!in_use) return set[key] == null ? null : html`<${State} state="waiting">${t("from its next start on")}<//>`;
    if (!pending.includes(key)) return html`<${State} state="done">${t("in use")}<//>`;
    const used = words(in_use[key]) || "–";
    return html`<${State} state="rendering">${key === "threads" ? t("{used} until its next scene", { used }) : t("{used} for now", { used })}<//>`;
  };
  const field = (key, label, more) =>
    html`<div class="field"><label for=${`set-${key}`}>${label}</label>
      ${input(key, { "aria-describedby": `use-${key}`, ...more })}
    <div class="row field-note"><span id=${`use-${key}`}>${use(key)}</span>${
      set[key] == null
        ? null
        : html`<${Action} id=${`own-${key}`} label=${t("Its own: {own}", { own: words(own[key]) || "–" })}
          run=${() => save({ [key]: null })} />`
    }</div></div>`;
  const number = (key, label, more) => field(key, label, { ...ranges[key], ...more });
  return html`<section aria-labelledby="edit"><h2 id="edit">${t("Settings")}</h2>
    <form class="form" onSubmit=${(event) => event.preventDefault()}>
      ${field("name", t("Name"))}${field("tags", t("Tags that jobs can ask for"), { placeholder: "gpu, studio" })}
      ${number("threads", t("Threads"))}
      ${number("hang_timeout_s", t("Hang timeout, in s (0: none)"), { step: "any" })}
      ${number("cache_limit_gb", cached == null
        ? t("Cache limit, in GB")
        : t("Cache limit, in GB ({used} used)", { used: bytes(cached) }), { step: "any" })}
      ${number("upload_interval_s", t("Upload interval, in s"))}
      ${end()}
    </form></section>`;
}

/** The end of the slave's current Blender output. */
function Printed({ text }) {
  if (!text) return null;
  return html`<section class="log-view" aria-labelledby="printed"><h2 id="printed">${t("What Blender prints")}</h2>
    <pre class="log mono" tabindex="0" role="region" aria-labelledby="printed">${text}</pre></section>`;
}
