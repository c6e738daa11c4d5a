// Current state of the farm. The master sends the lists once and then their changes. A broken
// connection is made again, without end.

import { get } from "./api.js";
import { batch, computed, signal } from "./html.js";

/** `connecting`, `live`, or `lost`. */
export const connection = signal("connecting");
/**
 * Number of times that the whole state was received: after each of them something may have been
 * missed.
 */
export const tellings = signal(0);
/** The master's description of itself. */
export const info = signal(null);
/** Jobs and slaves by number; an object is replaced only if something in it changed. */
export const jobs = signal(new Map());
export const slaves = signal(new Map());
/** True once the lists have been received. */
export const loaded = signal(false);
/**
 * Counter of changes on the farm. Components that show more than the lists fetch again when it
 * grows.
 */
export const revision = signal(0);

export const slaveName = (id) => slaves.value.get(id)?.name ?? `#${id}`;
export const jobList = computed(() => [...jobs.value.values()]);
export const slaveList = computed(() => [...slaves.value.values()]);
/** For each job with waiting frames: the number of such jobs before it, by priority and age. */
export const places = computed(() => {
  const open = jobList.value.filter((job) => job.state === "active" && job.total > job.done + job.failed + job.rendering);
  open.sort((a, b) => b.priority - a.priority || a.id - b.id);
  return new Map(open.map((job, place) => [job.id, place]));
});

const AGAIN_MS = [500, 1000, 2000, 4000];

let lost = 0;
let waiting = false;
let events = null;
let asleep = false;
let drowsy = 0;

/**
 * Wraps `work` so that it runs on request, one call at a time and once more after the last request,
 * with pauses that grow with its cost.
 */
export function paced(work, rest) {
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

/** Applies a change to the lists: {jobs, slaves, gone_jobs, gone_slaves}. */
function apply(rows, differing, gone) {
  if (!differing.length && !gone.length) return rows;
  const next = new Map(rows);
  for (const fields of differing) next.set(fields.id, { ...next.get(fields.id), ...fields });
  for (const id of gone) next.delete(id);
  return next;
}

// Messages come up to ten times a second. They are gathered and drawn at most this often, so that a
// page with many rows stays mostly idle.
const DRAW_MS = 100;
let gathered = null;
let drawn = 0;

function draw() {
  const { jobs: nextJobs, slaves: nextSlaves, revision: nextRevision } = gathered;
  gathered = null;
  drawn = performance.now();
  batch(() => {
    jobs.value = nextJobs;
    slaves.value = nextSlaves;
    revision.value = nextRevision;
    loaded.value = true;
  });
}

function gather(next) {
  const waits = gathered !== null;
  gathered = next;
  if (!waits) setTimeout(draw, Math.max(0, drawn + DRAW_MS - performance.now()));
}

const whole = ({ data }) => {
  const farm = JSON.parse(data);
  const byNumber = (rows) => new Map(rows.map((row) => [row.id, row]));
  gather({ jobs: byNumber(farm.jobs), slaves: byNumber(farm.slaves), revision: farm.revision });
  lost = 0;
  tellings.value += 1;
  connection.value = "live";
};

const change = ({ data }) => {
  const told = JSON.parse(data);
  const before = gathered ?? { jobs: jobs.peek(), slaves: slaves.peek() };
  gather({
    jobs: apply(before.jobs, told.jobs, told.gone_jobs),
    slaves: apply(before.slaves, told.slaves, told.gone_slaves),
    revision: told.revision,
  });
};

export async function connect() {
  asleep = false;
  try {
    info.value = await get("info");
  } catch {
    return breakOff();
  }
  if (asleep) return;
  events?.close();
  events = new EventSource("/api/v1/events?what=farm");
  events.addEventListener("farm", whole);
  events.addEventListener("change", change);
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
    if (!asleep) connect();
  }, wait);
}

// A browser has six connections to a master, for all its pages together. A page that nobody sees
// closes its own after a while, and is up to date again as soon as it is visible.
const DROWSY_MS = 10_000;

function sleep() {
  asleep = true;
  events?.close();
}

function wake() {
  clearTimeout(drowsy);
  if (asleep && !waiting) connect();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) drowsy = setTimeout(sleep, DROWSY_MS);
  else wake();
});
addEventListener("pagehide", sleep);
addEventListener("pageshow", ({ persisted }) => persisted && wake());
