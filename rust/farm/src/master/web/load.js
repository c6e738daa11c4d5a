// How busy slaves were while the page was open: noted twice a second from the lists, kept as one number for five seconds each,
// for some minutes. What happened while nobody looked is not known.

import { signal } from "./html.js";
import { connection, slaves } from "./live.js";

const EVERY_MS = 500;
/** Looks that make one number. */
const LOOKS = 10;
/** Numbers kept of each slave. */
export const KEPT = 48;

/** Grows when there are new numbers. */
export const beat = signal(0);

const loads = new Map();
let sums = new Map();
let looks = 0;
let last = 0;

/** Of the last minutes, the oldest first, each from 0 to 1. */
export const loadOf = (id) => loads.get(id) ?? [];

function look() {
  if (connection.peek() !== "live") return;
  const now = performance.now();
  if (now - last > 4 * EVERY_MS) {
    loads.clear();
    sums.clear();
    looks = 0;
  }
  last = now;
  const there = slaves.peek();
  for (const [id, slave] of there) {
    if (slave.state === "ready" && slave.job != null) sums.set(id, (sums.get(id) ?? 0) + 1);
  }
  looks += 1;
  if (looks < LOOKS) return;
  for (const id of there.keys()) {
    const kept = loads.get(id) ?? [];
    kept.push((sums.get(id) ?? 0) / looks);
    if (kept.length > KEPT) kept.shift();
    loads.set(id, kept);
  }
  for (const id of loads.keys()) if (!there.has(id)) loads.delete(id);
  sums = new Map();
  looks = 0;
  beat.value += 1;
}

setInterval(look, EVERY_MS);
