// Utilisation of slaves while the page was open: sampled from the lists twice a second, averaged
// over five seconds, kept for some minutes. Times when the page was closed are unknown.

import { signal } from "./html.js";
import { connection, slaves } from "./farm-feed.js";

const EVERY_MS = 500;
/** Number of samples in one average. */
const LOOKS = 10;
/** Number of averages kept for each slave. */
export const KEPT = 48;

/** Counter that grows with each new average. */
export const beat = signal(0);

const loads = new Map();
let sums = new Map();
let looks = 0;
let last = 0;

/** Utilisation in the last minutes, the oldest first, each from 0 to 1. */
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
