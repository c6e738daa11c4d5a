// The scheduling policy, in words, with a form.

import { put } from "../api.js";
import { Action } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { useEditing } from "../editing.js";
import { html } from "../html.js";
import { t } from "../language.js";

export function Balance() {
  const { value, ask } = useDetail("balance", { rest: 3000 });
  return value ? html`<${Form} balance=${value} ask=${ask} />` : null;
}

function Form({ balance: { rules, usual, edits }, ask }) {
  const now = Object.fromEntries(Object.entries(rules).map(([key, points]) => [key, String(points)]));
  const send = async (typed, headers) => {
    const points = Object.entries(typed).map(([key, text]) => [key, text.trim() === "" ? usual[key] : Number(text)]);
    const answer = await put("balance", { ...rules, ...Object.fromEntries(points) }, headers);
    ask();
    return (await answer.json()).edits;
  };
  const { input, end, save } = useEditing({ now, edits, send, done: t("The balance is changed.") });
  const field = (key, label, usually) => html`<div class="field"><label for=${`set-${key}`}>${label}</label>
    ${input(key, { type: "number", min: 0, max: 100, step: "any" })}<small>${usually}</small></div>`;
  const isUsual = Object.keys(usual).every((key) => rules[key] === usual[key]);
  const asUsual = () => save(Object.fromEntries(Object.entries(usual).map(([key, points]) => [key, String(points)])));
  return html`<section aria-labelledby="balance"><h2 id="balance">${t("Who gets the next slave")}</h2>
    <p class="said">
      ${t("The job with the most points, of those that the slave can do; of equals, the one that was sent first. A job's points are its priority, from 0 to 100, and what stands here.")}
    </p>
    <form class="form" onSubmit=${(event) => event.preventDefault()}>
      ${field("new_job", t("More while nothing of it was begun"),
        t("Usually {points}: it decides among equals, so that a small job need not wait for a long one.",
          { points: usual.new_job }))}
      ${field("hour", t("More for each hour since it was sent"), t("Usually {points}: waiting alone moves no job.", { points: usual.hour }))}
      ${field("category_slave", t("Less for each other slave of its category"),
        t("Usually {points}: a category may have all slaves.", { points: usual.category_slave }))}
      ${end(isUsual ? null : html`<${Action} id="usual" label=${t("As usual")} run=${asUsual} />`)}
    </form></section>`;
}
