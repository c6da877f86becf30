/**
 * Pictures of figures as SVG: bars beside each other's names, and lines. They carry no script, read well on a
 * light and on a dark page, say in words what they show, and are the same for the same figures.
 */

/** One bar, or two below each other, for each name. */
export interface BarChart {
  /** What stands above it. */
  readonly title: string;
  /** What the figures are, with the unit. */
  readonly unit: string;
  /** What the bars of one name are called, if there are several. */
  readonly series: readonly string[];
  /** Names, and a figure for each of the series; none where a run was void. */
  readonly rows: readonly { readonly name: string; readonly values: readonly number[] }[];
}

/** Lines over a common axis. */
export interface LineChart {
  /** What stands above it. */
  readonly title: string;
  /** What the figures are, with the unit. */
  readonly unit: string;
  /** What the axis is, with the unit. */
  readonly across: string;
  /** Where each point stands on the axis, rising. */
  readonly at: readonly number[];
  /** Lines: a figure for each point. */
  readonly lines: readonly { readonly name: string; readonly values: readonly number[] }[];
}

const WIDTH = 760;
const MARGIN = 16;
const NAMES = 310;
const FIGURES = 70;
const BAR = 16;
const GAP = 10;
const TOP = 60;
const AXIS = 44;
const LEGEND = 22;
/** From one baseline of text to the middle of its letters. */
const TO_MIDDLE = 4;
const LINES_HEIGHT = 220;
const LINES_LEFT = 64;

const STYLE = `\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.unit, .tick { fill: #59636e; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: #d1d9e0; }
.s0 { fill: #0969da; } .s1 { fill: #bf8700; } .s2 { fill: #1a7f37; } .s3 { fill: #8250df; }
.l0 { stroke: #0969da; } .l1 { stroke: #bf8700; } .l2 { stroke: #1a7f37; } .l3 { stroke: #8250df; }
.line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .unit, .tick { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .s0 { fill: #4493f8; } .s1 { fill: #d29922; } .s2 { fill: #3fb950; } .s3 { fill: #ab7df8; }
  .l0 { stroke: #4493f8; } .l1 { stroke: #d29922; } .l2 { stroke: #3fb950; } .l3 { stroke: #ab7df8; }
}`;

/** Classes of colours; further series begin anew. */
const COLOURS = 4;

/** Draws bars. Their lengths are in proportion to the figures. */
export function barChart({ title, unit, series, rows }: BarChart): string {
  const count = Math.max(1, series.length);
  const step = count * BAR + GAP;
  const top = TOP + (count > 1 ? LEGEND : 0);
  const bottom = top + rows.length * step;
  const left = MARGIN + NAMES;
  const most = niceMost(rows.flatMap(({ values }) => values));
  const room = WIDTH - MARGIN - FIGURES - left;
  const x = (value: number) => left + room * value / most;
  const parts = [
    ...count > 1 ? legend(series) : [],
    ...ticks(most).flatMap((value) => [
      `<line class="grid" x1="${px(x(value))}" y1="${top}" x2="${px(x(value))}" y2="${bottom}"/>`,
      text(x(value), bottom + 18, "tick middle", short(value)),
    ]),
    text(left, bottom + 36, "unit", unit),
  ];
  for (const [i, { name, values }] of rows.entries()) {
    const y = top + i * step + GAP / 2;
    const middle = y + count * BAR / 2 + TO_MIDDLE;
    parts.push(text(left - 8, middle, "end", name));
    if (values.length === 0) parts.push(text(left + 6, middle, "unit", "void"));
    for (const [j, value] of values.entries()) {
      const [at, width] = [y + j * BAR, px(x(value) - left)];
      parts.push(
        `<rect class="s${j % COLOURS}" x="${left}" y="${at}" width="${width}" height="${
          BAR - 3
        }"/>`,
        text(x(value) + 6, at + BAR / 2 + TO_MIDDLE - 1, "tick", short(value)),
      );
    }
  }
  return picture(title, describeBars(unit, series, rows), bottom + AXIS, parts);
}

/** Draws lines. Their heights are in proportion to the figures, from 0 on. */
export function lineChart({ title, unit, across, at, lines }: LineChart): string {
  const top = TOP + (lines.length > 1 ? LEGEND : 0);
  const bottom = top + LINES_HEIGHT;
  const left = MARGIN + LINES_LEFT;
  const right = WIDTH - MARGIN - 20;
  const most = niceMost(lines.flatMap(({ values }) => values));
  const end = at.at(-1) ?? 1;
  const x = (value: number) => left + (right - left) * value / end;
  const y = (value: number) => bottom - LINES_HEIGHT * value / most;
  const parts = [
    ...lines.length > 1 ? legend(lines.map(({ name }) => name)) : [],
    text(MARGIN, top - 10, "unit", unit),
    ...ticks(most).flatMap((value) => [
      `<line class="grid" x1="${left}" y1="${px(y(value))}" x2="${right}" y2="${px(y(value))}"/>`,
      text(left - 8, y(value) + TO_MIDDLE, "tick end", short(value)),
    ]),
    ...ticks(end).map((value) => text(x(value), bottom + 18, "tick middle", short(value))),
    text((left + right) / 2, bottom + 36, "unit middle", across),
    ...lines.map(({ values }, i) => {
      const points = values.map((value, j) => `${px(x(at[j]))},${px(y(value))}`).join(" ");
      return `<polyline class="line l${i % COLOURS}" points="${points}"/>`;
    }),
  ];
  const words = lines.map(({ name, values }) => `${name}: ${values.map(short).join(", ")}`);
  const description = `${unit}, at ${at.map(short).join(", ")} ${across}. ${words.join("; ")}.`;
  return picture(title, description, bottom + AXIS, parts);
}

function picture(
  title: string,
  description: string,
  height: number,
  parts: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" ` +
    `height="${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escape(title)}</title>`,
    `<desc id="desc">${escape(description)}</desc>`,
    `<style>\n${STYLE}\n</style>`,
    text(MARGIN, 28, "title", title),
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function legend(names: readonly string[]): string[] {
  const width = (WIDTH - 2 * MARGIN) / Math.max(3, names.length);
  return names.flatMap((name, i) => {
    const x = MARGIN + i * width;
    return [
      `<circle class="s${i % COLOURS}" cx="${px(x + 6)}" cy="${TOP - 12}" r="5"/>`,
      text(x + 18, TOP - 12 + TO_MIDDLE, "unit", name),
    ];
  });
}

function describeBars(
  unit: string,
  series: readonly string[],
  rows: readonly { readonly name: string; readonly values: readonly number[] }[],
): string {
  const words = rows.map(({ name, values }) => {
    const said = values.map((value, i) =>
      `${series.length > 1 ? `${series[i]} ` : ""}${short(value)}`
    );
    return `${name}: ${said.join(", ") || "void"}`;
  });
  return `${unit}. ${words.join("; ")}.`;
}

/** The end of an axis: a round number that no figure is above. */
function niceMost(values: readonly number[]): number {
  const most = Math.max(0, ...values);
  if (most === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power)
    .find((end) => end >= most) ?? 10 * power;
}

function ticks(most: number): number[] {
  return [0, 0.25, 0.5, 0.75, 1].map((share) => share * most);
}

/** A figure with three digits that count. */
function short(value: number): string {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const fixed = value.toFixed(Math.min(digits, 3));
  const trimmed = fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
  return trimmed.replace(/\B(?=(\d{3})+$)/g, ",");
}

function text(x: number, y: number, kind: string, content: string): string {
  return `<text class="${kind}" x="${px(x)}" y="${px(y)}">${escape(content)}</text>`;
}

function px(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
