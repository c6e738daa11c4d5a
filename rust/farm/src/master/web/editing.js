// Forms for what others may change at the same time: only what was typed is sent, and who saves what somebody else changed
// meanwhile is told so.

import { ApiError } from "./api.js";
import { Action, tell } from "./controls.js";
import { html, useEffect, useState } from "./html.js";
import { t } from "./language.js";

/**
 * What is typed into a form.
 * now: each field's text as it is set; edits: the number of that edit; send(typed, headers): saves it and gives back the number
 * of that; done: what is told then.
 */
export function useEditing({ now, edits, send, done }) {
  const [typed, setTyped] = useState({});
  // As it was when the first field was changed; what is saved is held against that.
  const [seen, setSeen] = useState(null);
  const [conflict, setConflict] = useState(null);
  // What was saved here is not somebody else's, though it may not be shown yet.
  const [own, setOwn] = useState(0);
  const known = Math.max(edits, own);
  // What was saved stays in its fields until the page knows it; they would show for a moment what was set before.
  const [sent, setSent] = useState(null);
  const isSent = (key, there) => sent !== null && key in sent.body && there[key] === sent.typed[key];
  useEffect(() => {
    if (sent === null || edits < sent.edits) return;
    setTyped((there) => Object.fromEntries(Object.entries(there).filter(([key]) => !isSent(key, there))));
    setSent(null);
  }, [edits, sent]);
  const changed = Object.keys(typed).filter((key) => typed[key] !== now[key] && !isSent(key, typed));
  const forget = () => {
    setTyped({});
    setSeen(null);
    setConflict(null);
  };
  const save = async (body) => {
    try {
      const number = await send(body, { "If-Match": `"${seen ?? known}"` });
      setOwn(number);
      setSeen(null);
      setConflict(null);
      // What was saved before and is not known yet still is.
      setSent((old) => ({ edits: number, body: { ...old?.body, ...body }, typed: { ...old?.typed, ...typed } }));
      tell(done);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412) throw error;
      setConflict(error);
    }
  };
  const input = (key, more = {}) => html`<input id=${`set-${key}`} value=${typed[key] ?? now[key]} ...${more} onInput=${(event) => {
    if (seen === null) setSeen(known);
    const text = event.target.value;
    setTyped((there) => ({ ...there, [key]: text }));
  }} />`;
  /** What stands at the form's end: to save, to undo, and what somebody else did. `also`: more buttons. */
  const end = (also = null) => html`<div class="row form-end">
      <${Action} kind="is-main" id="save" label=${t("Save")} disabled=${!changed.length} run=${() => save(Object.fromEntries(changed.map((key) => [key, typed[key]])))} />
      ${changed.length ? html`<${Action} id="undo" label=${t("Undo")} run=${forget} />` : null}${also}</div>
    ${conflict ? html`<div class="conflict" role="alert"><p><b>${conflict.message}</b> ${conflict.hint}</p>
      <${Action} id="theirs" label=${t("Show how it is now")} run=${forget} /></div>` : null}`;
  return { input, end, save };
}
