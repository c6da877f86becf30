/**
 * What is kept of a run: the figures, of which the tables in bench/README.md and the pictures are made.
 * Scenarios that did not run keep the figures that they had.
 */
import { barChart, lineChart } from "./charts.ts";
import { show } from "./figures.ts";
import type { Column, Picture, Row, Section } from "./scenario.ts";

const ROOT = new URL("../", import.meta.url);
const FIGURES = "docs/bench/figures.json";
const README = "bench/README.md";
const BEGIN = "<!-- figures: written by deno task bench --write -->";
const END = "<!-- /figures -->";

/** Figures that were kept, each with the machine that they are of. */
export interface Kept {
  /** Tables, in the order of the scenarios. */
  readonly sections: readonly (Section & { readonly machine: string })[];
}

/** The figures that were kept last. */
export async function readKept(root = ROOT): Promise<Kept> {
  try {
    return JSON.parse(await Deno.readTextFile(new URL(FIGURES, root)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { sections: [] };
    throw error;
  }
}

/** What is kept once these are measured: they take the places of earlier ones, but where a row is void. */
export function merged(kept: Kept, measured: readonly Section[], machine: string): Kept {
  const sections = measured.filter(({ rows }) => rows.every(({ isVoid }) => isVoid === undefined));
  const isNew = (name: string) => sections.some((section) => section.name === name);
  const added = sections.map((section) => ({ ...trimmed(section), machine }));
  const old = kept.sections.map((section) =>
    added.find(({ name }) => name === section.name) ?? section
  );
  const isOld = (name: string) => kept.sections.some((section) => section.name === name);
  return { sections: [...old, ...added.filter(({ name }) => isNew(name) && !isOld(name))] };
}

/** Without figures that neither its table nor its picture shows. */
function trimmed(section: Section): Section {
  const keys = [...section.columns.map(({ key }) => key), ...section.picture?.keys ?? []];
  const rows = section.rows.map(({ name, figures }) => ({
    name,
    figures: Object.fromEntries(Object.entries(figures).filter(([key]) => keys.includes(key))),
  }));
  return { ...section, rows };
}

/** Every file that is made of figures, by its path from the root. */
export function filesOf(kept: Kept, readme: string): ReadonlyMap<string, string> {
  const files = new Map([[FIGURES, `${JSON.stringify(kept, null, 2)}\n`]]);
  for (const section of kept.sections) {
    const picture = pictureOf(section);
    if (picture !== undefined) files.set(pathOf(section), picture);
  }
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`Cannot write figures: no marks in ${README}`);
  const between = kept.sections.map(markdownOf).join("\n\n");
  const text = `${readme.slice(0, begin + BEGIN.length)}\n\n${between}\n\n${readme.slice(end)}`;
  return files.set(README, text);
}

/** Writes all files that are made of these figures. */
export async function write(kept: Kept, root = ROOT): Promise<void> {
  await Deno.mkdir(new URL("docs/bench/", root), { recursive: true });
  const readme = await Deno.readTextFile(new URL(README, root));
  for (const [path, text] of filesOf(kept, readme)) {
    await Deno.writeTextFile(new URL(path, root), text);
  }
}

/** A table for a terminal. */
export function plainOf({ title, about, columns, rows }: Section): string {
  const cells = cellsOf(columns, rows);
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const lines = cells.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("   ")
  );
  return [title, wrapped(about), ...lines.map((line) => `  ${line.trimEnd()}`), ...voidsOf(rows)]
    .join("\n");
}

/** A table for a page, with its picture. */
export function markdownOf(section: Section & { readonly machine: string }): string {
  const { title, about, columns, rows, machine } = section;
  const cells = cellsOf(columns, rows);
  const widths = cells[0].map((_, column) =>
    Math.max(3, ...cells.map((row) => row[column].length))
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const [head, ...body] = cells;
  const picture = section.picture === undefined
    ? []
    : [`![${section.picture.title}](../${pathOf(section)})`, ""];
  return [
    `### ${title}`,
    "",
    wrapped(about),
    "",
    ...picture,
    line(head),
    line(widths.map((width) => "-".repeat(width))),
    ...body.map(line),
    "",
    ...voidsOf(rows).flatMap((each) => [each, ""]),
    `On ${machine}.`,
  ].join("\n");
}

/** The picture of a table, as SVG. */
export function pictureOf({ columns, rows, picture }: Section): string | undefined {
  if (picture === undefined) return undefined;
  const { kind, title, unit, keys, across } = picture;
  const valuesOf = ({ figures }: Row) =>
    keys.map((key) => figures[key]).filter((value) => Number.isFinite(value));
  if (kind === "bars") {
    return barChart({
      title,
      unit,
      series: seriesOf(columns, picture),
      rows: rows.map((row) => ({ name: row.name, values: valuesOf(row) })),
    });
  }
  const lines = rows.filter(({ isVoid }) => isVoid === undefined)
    .map((row) => ({ name: row.name, values: valuesOf(row) }));
  return lineChart({ title, unit, across: across!.unit, at: across!.values, lines });
}

function seriesOf(columns: readonly Column[], { keys }: Picture): readonly string[] {
  if (keys.length < 2) return [];
  // The unit of all stands at the axis.
  return keys.map((key) => columns.find((it) => it.key === key)?.title.replace(/,.*/, "") ?? key);
}

function pathOf({ name }: Section): string {
  return `docs/bench/${name}.svg`;
}

function cellsOf(columns: readonly Column[], rows: readonly Row[]): string[][] {
  return [
    ["", ...columns.map(({ title }) => title)],
    ...rows.map(({ name, figures, isVoid }) => [
      name,
      ...columns.map(({ key, digits }) => {
        const value = figures[key];
        if (isVoid !== undefined && value === undefined) return "void";
        if (!Number.isFinite(value)) return "";
        return digits === 0 ? show(value) : value.toFixed(digits);
      }),
    ]),
  ];
}

function voidsOf(rows: readonly Row[]): string[] {
  return rows.filter(({ isVoid }) => isVoid !== undefined)
    .map(({ name, isVoid }) => `Void: ${name}: ${isVoid}`);
}

function wrapped(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (line.length > 100) lines.push(word);
    else lines[lines.length - 1] = line;
  }
  return lines.join("\n");
}
