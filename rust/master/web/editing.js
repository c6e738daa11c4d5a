// Forms for settings that several people may edit: only changed fields are sent, and an edit based
// on an outdated revision is refused with the changes of the others.

import { ApiError } from "./api.js";
import { Action, tell } from "./controls.js";
import { html, useEffect, useState } from "./html.js";
import { t } from "./language.js";

/**
 * State of a form.
 * now: each field's text as set on the master; edits: the revision of that; send(typed, headers):
 * saves and returns the new revision; done: the notice after saving.
 */
export function useEditing({ now, edits, send, done }) {
  const [typed, setTyped] = useState({});
  // Values when the first field was changed; edits are compared with these.
  const [seen, setSeen] = useState(null);
  const [conflict, setConflict] = useState(null);
  // A value saved here is no one else's edit, though it may not be shown yet.
  const [own, setOwn] = useState(0);
  const known = Math.max(edits, own);
  // Saved values stay in their fields until the page knows them; otherwise the old ones would show
  // for a moment.
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
      // A value that was saved before and is not known yet still counts as saved.
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
  /** The form's last row: save, undo, and what somebody else changed. `also`: more buttons. */
  const end = (also = null) => html`<div class="row form-end">
      <${Action} kind="is-main" id="save" label=${t("Save")} disabled=${!changed.length}
        run=${() => save(Object.fromEntries(changed.map((key) => [key, typed[key]])))} />
      ${changed.length ? html`<${Action} id="undo" label=${t("Undo")} run=${forget} />` : null}${also}</div>
    ${conflict ? html`<div class="conflict" role="alert"><p><b>${conflict.message}</b> ${conflict.hint}</p>
      <${Action} id="theirs" label=${t("Show how it is now")} run=${forget} /></div>` : null}`;
  return { input, end, save };
}
