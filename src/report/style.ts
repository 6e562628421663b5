/** The report's style sheet: light, dark and print, no external font or image. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f6f7f9; --text: #1a1d21; --soft: #5b6470; --line: #d9dde3; --grid: #e9ecf0;
  --c0: #8a929c; --c1: #1f6fb5; --c2: #c4570b; --c3: #12805c; --c4: #8f4a9e;
  --good: #12805c; --bad: #b3261e; --near: #8a6100;
  --alarm: #b3261e; --alarm-text: #ffffff; --note: #fff6dd; --note-line: #d9a520;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --panel: #1c2026; --text: #e7eaee; --soft: #a1abb7; --line: #363d47; --grid: #272c34;
    --c0: #8a929c; --c1: #6fb3ee; --c2: #f29a55; --c3: #4fc79c; --c4: #cf93dd;
    --good: #4fc79c; --bad: #ff8a80; --near: #e8bd4d;
    --alarm: #c5372e; --alarm-text: #ffffff; --note: #2f2915; --note-line: #b98d1c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1140px; margin: 0 auto; padding: 28px 24px 56px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 4px; }
h3 { font-size: 15px; margin: 20px 0 6px; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 88ch; }
.soft { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 0; padding: 0; list-style: none; color: var(--soft); }
.facts b { color: var(--text); font-weight: 600; }
.use { font-size: 13px; color: var(--soft); border-top: 1px solid var(--line); margin-top: 14px; padding-top: 8px; max-width: none; }
.alarm {
  background: var(--alarm); color: var(--alarm-text); border-radius: 8px; padding: 14px 18px; margin: 0 0 22px; max-width: none;
  font-size: 17px; font-weight: 600;
}
.alarm span { display: block; font-size: 14px; font-weight: 400; }
.notes { background: var(--note); border-left: 4px solid var(--note-line); border-radius: 0 8px 8px 0; padding: 10px 16px 10px 34px; margin: 18px 0 0; }
.notes li { margin: 3px 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 20px 0 12px; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
.tile .name { color: var(--soft); font-size: 13px; }
.tile .value { font-size: 25px; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile .range { color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
.matrices .scroll { max-width: 100%; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin: 10px 0; }
th, td { text-align: right; padding: 6px; border-bottom: 1px solid var(--line); vertical-align: middle; }
th { font-weight: 600; font-size: 13px; color: var(--soft); vertical-align: bottom; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.word { text-align: left; overflow-wrap: break-word; max-width: 260px; }
td small { display: block; color: var(--soft); font-size: 11.5px; white-space: nowrap; }
td small.why { white-space: normal; min-width: 64px; }
table.wide { width: 100%; }
.matrix td, .matrix th { border: 1px solid var(--line); text-align: center; min-width: 74px; }
.matrix th[scope=row] { text-align: right; vertical-align: middle; }
.matrix td { background: color-mix(in srgb, var(--c1) calc(var(--share) * 55%), var(--page)); }
.matrix td small { color: inherit; opacity: .8; }
.matrices { display: flex; flex-wrap: wrap; gap: 8px 36px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); gap: 18px 24px; align-items: start; }
.charts.small { grid-template-columns: repeat(auto-fit, minmax(min(240px, 100%), 1fr)); gap: 14px 12px; }
figure { margin: 0; break-inside: avoid; }
figcaption { font-size: 13px; font-weight: 600; margin-bottom: 4px; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
.chart > svg { max-width: 560px; overflow: visible; }
.chart text { font-size: 11px; fill: var(--soft); }
.chart .axis-label { font-size: 12px; fill: var(--text); }
.chart .grid path { stroke: var(--grid); stroke-width: 1; }
.chart .axis path { stroke: var(--soft); stroke-width: 1; }
.rule path { stroke: var(--soft); stroke-dasharray: 2 3; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.pale { stroke-width: 1; opacity: .35; }
.line.dashed { stroke-dasharray: 5 4; stroke-width: 1.4; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); } .line.c4 { stroke: var(--c4); }
.dot.c0 { fill: var(--c0); } .dot.c1 { fill: var(--c1); } .dot.c2 { fill: var(--c2); }
.dot.c3 { fill: var(--c3); } .dot.c4 { fill: var(--c4); }
.dot.pale { opacity: .5; }
.mark circle { fill: var(--page); stroke: var(--c2); stroke-width: 2.5; } .mark.c1 circle { stroke: var(--c1); }
.chart .mark text { fill: var(--text); font-size: 11.5px; paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; list-style: none; margin: 4px 0 0; padding: 0 0 0 44px; font-size: 12px; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: 6px; }
.legend svg { width: 22px; flex: none; }
.strip { width: 96px; height: 10px; margin: 3px 0 0 auto; }
.strip .track { stroke: var(--line); stroke-width: 1.5; }
.strip .range { stroke: var(--c1); stroke-width: 6; opacity: .5; }
.strip .value { stroke: var(--c1); stroke-width: 2.5; }
.chart .note { fill: var(--soft); }
.gallery { display: grid; grid-template-columns: repeat(6, 1fr); gap: 14px; margin: 8px 0; }
@media (max-width: 1020px) { .gallery { grid-template-columns: repeat(3, 1fr); } }
.gallery figure { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; font-size: 12.5px; }
.gallery img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; image-rendering: auto; }
.gallery figcaption { font-weight: 400; margin: 0; padding: 7px 9px; font-size: 12.5px; line-height: 1.4; }
.gallery .id { color: var(--soft); display: block; overflow-wrap: anywhere; font-size: 11.5px; }
.gallery.thirds { grid-template-columns: repeat(3, 1fr); }
@media (max-width: 700px) { .gallery.thirds { grid-template-columns: 1fr; } }
.outline { display: inline-block; width: 18px; height: 0; border-top: 3px solid; vertical-align: 4px; margin: 0 6px 0 2px; }
.right { color: var(--good); font-weight: 600; } .wrong { color: var(--bad); font-weight: 600; } .near { color: var(--near); font-weight: 600; }
.bar { display: flex; height: 20px; border-radius: 5px; overflow: hidden; margin: 12px 0 6px; max-width: 760px; }
.bar i { display: block; min-width: 1px; }
.bar .c0, .swatch.c0 { background: var(--c0); } .bar .c1, .swatch.c1 { background: var(--c1); }
.bar .c2, .swatch.c2 { background: var(--c2); } .bar .c3, .swatch.c3 { background: var(--c3); }
.bar .c4, .swatch.c4 { background: var(--c4); }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 8px; }
.faint { opacity: .55; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 10px 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 13px; }
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --panel: #ffffff; --text: #000000; --soft: #444444; --line: #bbbbbb; --grid: #e4e4e4;
    --c0: #777777; --c1: #1f6fb5; --c2: #c4570b; --c3: #12805c; --c4: #8f4a9e;
    --good: #12805c; --bad: #b3261e; --near: #8a6100; --note: #ffffff; --note-line: #d9a520;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  h2, h3, p.soft { break-after: avoid; }
  tr, .tile, .gallery figure { break-inside: avoid; }
  .scroll { overflow: visible; }
  .charts { grid-template-columns: 1fr 1fr; }
  .charts.small { grid-template-columns: repeat(4, 1fr); }
  .gallery { grid-template-columns: repeat(6, 1fr); gap: 8px; }
}
`
