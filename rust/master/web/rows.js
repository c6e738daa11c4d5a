// Long tables that stay quick: only visible rows are in the document, with empty space above and
// below for the others. All rows have the height that the style sheet sets (`--row` of the table).

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const AROUND = 8;

/**
 * Indices of the visible ones of `count` items, `columns` in a line, each line as high as --row.
 */
export function useSight(count, columns = 1) {
  const body = useRef(null);
  const [sight, setSight] = useState({ from: 0, to: Math.min(count, 40 * columns), height: 44 });
  const look = useRef(null);
  look.current = () => {
    const element = body.current;
    if (!element) return;
    const height = parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 44;
    const lines = Math.ceil(count / columns);
    const top = element.getBoundingClientRect().top;
    const from = Math.max(0, Math.min(lines, Math.floor(-top / height)) - AROUND) * columns;
    const to = Math.min(count, (Math.max(0, Math.ceil((innerHeight - top) / height)) + AROUND) * columns);
    setSight((old) => (old.from === from && old.to === to && old.height === height ? old : { from, to, height }));
  };
  useLayoutEffect(() => look.current(), [count, columns]);
  useEffect(() => {
    let asked = 0;
    const later = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        look.current();
      });
    };
    addEventListener("scroll", later, { capture: true, passive: true });
    addEventListener("resize", later);
    later();
    return () => {
      cancelAnimationFrame(asked);
      removeEventListener("scroll", later, { capture: true });
      removeEventListener("resize", later);
    };
  }, []);
  return { body, ...sight, to: Math.min(sight.to, count), lines: Math.ceil(count / columns) };
}

/** A table of many rows. `columns`: [{key, title, sort?, className?}]; `Row` draws one row. */
export function Table({ label, columns, items, Row, sort, onSort, className = "", context }) {
  const { body, from, to, height, lines } = useSight(items.length);
  const shown = items.slice(from, to);
  return html`<table class=${`rows ${className}`} role="table" aria-label=${label} aria-rowcount=${items.length + 1}>
    <thead role="rowgroup"><tr role="row" aria-rowindex="1">${columns.map((column) => {
      const sorted = sort?.key === column.key ? (sort.down ? "descending" : "ascending") : undefined;
      return html`<th key=${column.key} scope="col" role="columnheader" class=${`c-${column.key}`} aria-sort=${sorted}>${
        column.sort ? html`<button type="button" class="sort" onClick=${() => onSort(column.key)}>${column.title}</button>` : column.title
      }</th>`;
    })}</tr></thead>
    <tbody role="rowgroup" ref=${body}>
      ${from > 0 ? html`<tr key="above" class="gap" role="presentation">
        <td role="presentation" colspan=${columns.length} style=${{ height: `${from * height}px` }}></td></tr>` : null}
      ${shown.map((item, at) => html`<${Row} key=${item.id} item=${item} index=${from + at + 2} context=${context} />`)}
      ${to < lines
        ? html`<tr key="below" class="gap" role="presentation">
        <td role="presentation" colspan=${columns.length} style=${{ height: `${(lines - to) * height}px` }}></td></tr>`
        : null}
    </tbody>
  </table>`;
}
