// What the farm looks like now. The master says when something changed; the lists are then fetched again, never faster
// than they can be had and drawn. Connections that break are made again, for ever.

import { get } from "./api.js";
import { batch, computed, signal } from "./html.js";

/** `connecting`, `live`, or `lost`. */
export const connection = signal("connecting");
/** What the master says of itself. */
export const info = signal(null);
/** Jobs and slaves by number, new objects only where something changed. */
export const jobs = signal(new Map());
export const slaves = signal(new Map());
/** Whether the lists were ever here. */
export const loaded = signal(false);
/** Grows with every change on the farm; who shows more than the lists asks again when it does. */
export const revision = signal(0);

export const slaveName = (id) => slaves.value.get(id)?.name ?? `#${id}`;
export const jobList = computed(() => [...jobs.value.values()]);
export const slaveList = computed(() => [...slaves.value.values()]);

const PAUSE_MS = 250;
const AGAIN_MS = [500, 1000, 2000, 4000];

let lost = 0;
let waiting = false;
let events = null;

/** Runs `work` when asked, one at a time, a last time after the last call, and with a rest that grows with its cost. */
export function paced(work, rest = PAUSE_MS) {
  let busy = false;
  let wanted = false;
  return async function ask() {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) {
      wanted = false;
      const began = performance.now();
      await work();
      const cost = performance.now() - began;
      await new Promise((done) => setTimeout(done, Math.max(rest, 2 * cost)));
    }
    busy = false;
  };
}

const byNumber = (rows, before) => {
  const next = new Map();
  for (const row of rows) {
    const old = before.get(row.id);
    next.set(row.id, old && JSON.stringify(old) === JSON.stringify(row) ? old : row);
  }
  return next;
};

const refresh = paced(async () => {
  try {
    const farm = await get("farm");
    batch(() => {
      jobs.value = byNumber(farm.jobs, jobs.peek());
      slaves.value = byNumber(farm.slaves, slaves.peek());
      revision.value = farm.revision;
      loaded.value = true;
    });
  } catch {
    breakOff();
  }
});

export async function connect() {
  try {
    info.value = await get("info");
  } catch {
    return breakOff();
  }
  events = new EventSource("/api/v1/events");
  events.addEventListener("open", () => {
    lost = 0;
    connection.value = "live";
    refresh();
  });
  events.addEventListener("revision", refresh);
  events.addEventListener("error", breakOff);
}

function breakOff() {
  if (waiting) return;
  waiting = true;
  events?.close();
  connection.value = "lost";
  const wait = AGAIN_MS[Math.min(lost, AGAIN_MS.length - 1)];
  lost += 1;
  setTimeout(() => {
    waiting = false;
    connect();
  }, wait);
}
