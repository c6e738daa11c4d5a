// Render times of frames as a chart, and as numbers: the slowest frames, and each slave.

import { Empty } from "../controls.js";
import { duration, number } from "../format.js";
import { html, useMemo, useState } from "../html.js";
import { t } from "../language.js";
import { slaveName } from "../farm-feed.js";

const WIDTH = 1000;
const HEIGHT = 200;
const SLOWEST = 10;

/** At most `most` groups of neighbours, each with its longest time. */
function grouped(tasks, most) {
  const size = Math.max(1, Math.ceil(tasks.length / most));
  const groups = [];
  for (let from = 0; from < tasks.length; from += size) {
    const group = tasks.slice(from, from + size);
    groups.push({
      first: group[0].frame,
      last: group.at(-1).frame,
      most: group.reduce((longest, task) => Math.max(longest, task.seconds ?? 0), 0),
      failed: group.some((task) => task.state === "failed"),
    });
  }
  return groups;
}

/** A round number not below `n`. */
function roundUp(n) {
  const unit = 10 ** Math.floor(Math.log10(n || 1));
  return [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= n);
}

function Plot({ tasks }) {
  const [pointed, setPointed] = useState(null);
  const groups = useMemo(() => grouped(tasks, 500), [tasks]);
  const top = roundUp(Math.max(...groups.map((group) => group.most), 0.1));
  const wide = WIDTH / groups.length;
  const bar = (group, at) => {
    const high = (HEIGHT * group.most) / top;
    return `M${at * wide} ${HEIGHT}v${-high}h${Math.max(0.5, wide * 0.86)}v${high}z`;
  };
  const told = pointed === null ? null : groups[pointed];
  const frames = told && (told.first === told.last ? t("Frame {first}", told) : t("Frames {first} to {last}", told));
  return html`<figure class="plot">
    <figcaption>${told ? `${frames}: ${told.failed ? t("Failed") : duration(told.most)}` : t("Seconds of each frame; point at one to read it")}</figcaption>
    <div class="plot-body"><div class="axis" aria-hidden="true"><span>${duration(top)}</span><span>${duration(top / 2)}</span><span>0</span></div>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img"
      aria-label=${t("Times of frames, the longest {longest}",
        { longest: duration(Math.max(...groups.map((group) => group.most))) })}
      onPointerMove=${(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        setPointed(Math.max(0, Math.min(groups.length - 1, Math.floor(((event.clientX - box.left) / box.width) * groups.length))));
      }} onPointerLeave=${() => setPointed(null)}>
      <path class="grid" d=${`M0 .5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`} />
      <path class="bars" d=${groups.map(bar).join("")} />
      <path class="fails"
        d=${groups.map((group, at) => (group.failed
          ? `M${at * wide} 0h${Math.max(1, wide * 0.86)}v${HEIGHT}h${-Math.max(1, wide * 0.86)}z`
          : "")).join("")} />
      ${told ? html`<path class="pointed" d=${bar(told, pointed)} />` : null}
    </svg></div>
    <div class="plot-ends" aria-hidden="true"><span>${tasks[0].frame}</span><span>${tasks.at(-1).frame}</span></div>
  </figure>`;
}

export function Times({ job }) {
  const done = useMemo(() => job.tasks.filter((task) => task.seconds != null), [job.tasks]);
  const slaves = useMemo(() => {
    const found = new Map();
    for (const task of done) {
      const one = found.get(task.slave) ?? { slave: task.slave, frames: 0, seconds: 0 };
      one.frames += 1;
      one.seconds += task.seconds;
      found.set(task.slave, one);
    }
    return [...found.values()].sort((a, b) => b.frames - a.frames);
  }, [done]);
  const slowest = useMemo(() => [...done].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST), [done]);
  if (!done.length) return html`<${Empty}>${t("No frame is done yet.")}<//>`;
  return html`<section class="times" aria-label=${t("Times")}>
    <${Plot} tasks=${job.tasks} />
    <div class="two">
      <div><h2 id="by-slave">${t("By slave")}</h2>
        <div class="list list-scroll">
          <table aria-labelledby="by-slave">
            <thead><tr><th scope="col">${t("Slave")}</th><th scope="col" class="number">${t("Frames")}</th>
              <th scope="col" class="number">${t("Mean time of a frame")}</th>
              <th scope="col" class="number">${t("Together")}</th></tr></thead>
        <tbody>${slaves.map((one) =>
          html`<tr key=${one.slave}><td><a href=${`#/slaves/${one.slave}`}>${slaveName(one.slave)}</a></td>
            <td class="number">${number(one.frames)}</td><td class="number">${duration(one.seconds / one.frames)}</td>
            <td class="number">${duration(one.seconds)}</td></tr>`)}</tbody></table></div></div>
      <div><h2 id="slowest">${t("Slowest frames")}</h2>
        <div class="list list-scroll">
          <table aria-labelledby="slowest">
            <thead><tr><th scope="col">${t("Frame")}</th><th scope="col">${t("Slave")}</th>
              <th scope="col" class="number">${t("Time")}</th></tr></thead>
        <tbody>${slowest.map((task) =>
          html`<tr key=${task.frame}><td><a href=${`#/jobs/${job.id}/frames/${task.frame}`}>${task.frame}</a></td>
            <td>${slaveName(task.slave)}</td><td class="number">${duration(task.seconds)}</td></tr>`)}</tbody></table>
        </div></div>
    </div>
  </section>`;
}
