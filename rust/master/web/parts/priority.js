// A job's priority in the list: a number to change by keyboard, and a handle to drag the job to
// another place.

import { patch } from "../api.js";
import { tell, tellError } from "../controls.js";
import { Icon, html, signal, useEffect, useRef, useState } from "../html.js";
import { t } from "../language.js";
import { jobs } from "../farm-feed.js";

/** Drop position of the dragged job: {dragged, over, above}, or null. */
export const dropping = signal(null);

const SETTLE_MS = 400;
const within = (priority) => Math.max(0, Math.min(100, priority));

async function set(id, priority) {
  try {
    await patch(`jobs/${id}`, { priority });
    tell(t("Job {id} has priority {priority}.", { id, priority }));
    return true;
  } catch (error) {
    tellError(error);
    return false;
  }
}

/**
 * The priority that moves `dragged` just above or below `over`; among jobs of equal priority the
 * older is first.
 */
export function priorityFor(dragged, over, above) {
  const first = dragged.id < over.id;
  if (above) return within(over.priority + (first ? 0 : 1));
  return within(over.priority - (first ? 1 : 0));
}

/** `drags`: true if the list is in queue order, so that a place in it has a meaning. */
export function Priority({ job, drags }) {
  const [typed, setTyped] = useState(null);
  const settling = useRef(0);
  // Not while a change is typed or sent: the value may be the echo of the previous one.
  useEffect(() => {
    if (!settling.current) setTyped(null);
  }, [job.priority]);
  const shown = typed ?? job.priority;
  const onKey = (event) => {
    const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -100, End: 100 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = within(shown + steps[event.key]);
    setTyped(next);
    clearTimeout(settling.current);
    const mine = setTimeout(async () => {
      const isSet = await set(job.id, next);
      if (settling.current !== mine) return;
      settling.current = 0;
      if (!isSet) setTyped(null);
    }, SETTLE_MS);
    settling.current = mine;
  };
  const onPointerMove = (event) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const row = document.elementFromPoint(event.clientX, event.clientY)?.closest("tr[data-job]");
    const over = row && Number(row.dataset.job);
    const box = row?.getBoundingClientRect();
    dropping.value = over && over !== job.id ? { dragged: job.id, over, above: event.clientY < box.top + box.height / 2 } : null;
  };
  const onPointerUp = () => {
    const drop = dropping.peek();
    dropping.value = null;
    const over = drop && jobs.peek().get(drop.over);
    if (!over) return;
    const priority = priorityFor(job, over, drop.above);
    if (priority !== job.priority) set(job.id, priority);
  };
  const grip = drags
    ? html`<span class="grip" data-grip=${job.id}
      onPointerDown=${(event) => event.currentTarget.setPointerCapture(event.pointerId)} onPointerMove=${onPointerMove}
      onPointerUp=${onPointerUp} onPointerCancel=${() => (dropping.value = null)}><${Icon} name="grip" /></span>`
    : null;
  return html`<span class="priority">
    <span role="spinbutton" tabindex="0" aria-label=${t("Priority of job {id}", job)} aria-valuemin="0"
      aria-valuemax="100" aria-valuenow=${shown} title=${t("Arrow keys change it; or drag the job to another place")}
      onKeyDown=${onKey}>${shown}</span>${grip}</span>`;
}
