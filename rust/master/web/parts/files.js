// The files a job needs, with their paths on the artist's machine, and those that the master lacks.

import { Empty, Pager } from "../controls.js";
import { useDetail } from "../use-detail.js";
import { bytes, number } from "../format.js";
import { html, useRef, useState } from "../html.js";
import { plural, t } from "../language.js";

const PAGE = 100;

const kindName = (kind) =>
  ({
    scene: t("Scene"),
    library: t("Library"),
    image: t("Image"),
    movie: t("Movie"),
    sound: t("Sound"),
    font: t("Font"),
    volume: t("Volume"),
    geometry: t("Geometry"),
    cache: t("Cache"),
    script: t("Script"),
  })[kind] ?? t("Other");

export function Files({ job }) {
  const [skip, setSkip] = useState(0);
  const { value, error } = useDetail(`jobs/${job.id}/files?skip=${skip}&limit=${PAGE}`, { follow: false });
  // The previous page stays, with its number, until the next one is here.
  const last = useRef(null);
  if (value) last.current = { ...value, skip };
  const listed = last.current;
  if (error) return html`<${Empty}>${error.message}<//>`;
  if (!listed) return null;
  return html`<section aria-label=${t("Files")} aria-busy=${!value}>
    <div class="row"><p>${plural(listed.total, "{n} file", "{n} files")}, ${bytes(listed.bytes)}</p>
      ${listed.missing
        ? html`<p class="bad">
          ${plural(listed.missing, "{n} is not whole on the master", "{n} are not whole on the master")}</p>`
        : html`<p class="why">${t("All of them are on the master.")}</p>`}
      <${Pager} skip=${listed.skip} wanted=${skip} limit=${PAGE} total=${listed.total} turn=${setSkip} /></div>
    <div class="list list-scroll">
      <table class="files" aria-label=${t("Files")}>
        <thead><tr><th scope="col">${t("File")}</th><th scope="col">${t("Kind")}</th>
          <th scope="col" class="number">${t("Size")}</th><th scope="col">${t("On the master")}</th></tr></thead>
      <tbody>${listed.files.map(
        (file) => html`<tr key=${file.path}><td class="path mono">${file.path}</td><td>${kindName(file.kind)}</td><td class="number">${bytes(file.bytes)}</td>
          <td>${file.missing_pieces
            ? html`<span class="bad">
              ${plural(file.missing_pieces, "{n} piece is missing", "{n} pieces are missing")}</span>`
            : t("whole")}</td></tr>`,
      )}</tbody></table></div>
  </section>`;
}
