// The current route: the fragment of the address, `#/jobs/3/frames/7`.

import { signal } from "./html.js";

const read = () => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);

/** Segments of the fragment, for example ["jobs", "3", "frames", "7"]. */
export const route = signal(read());

addEventListener("hashchange", () => {
  const before = route.peek();
  route.value = read();
  // A new page starts at its top, with the keyboard's focus in it; tabs of the same page leave both
  // unchanged.
  if (before[0] !== route.peek()[0] || before[1] !== route.peek()[1]) {
    scrollTo(0, 0);
    requestAnimationFrame(() => document.querySelector("main")?.focus({ preventScroll: true }));
  }
});

export const go = (path) => {
  location.hash = path;
};
