/** What figures are made of, and how they are written. */

/** The middle one. */
export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** The smallest number that this share, 0 to 1, of all is not above. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** A whole number, with commas. */
export function show(number: number): string {
  return Math.round(number).toLocaleString("en");
}

/** Where the figures come from: what else the machine did counts, too. */
export function machine(...more: readonly string[]): string {
  const load = Deno.loadavg()[0].toFixed(1);
  const words = [
    `${navigator.hardwareConcurrency} cores, load ${load}`,
    `Deno ${Deno.version.deno}`,
  ];
  return [...words, ...more].join(", ");
}

/** Says where the figures come from. */
export function printMachine(...more: readonly string[]): void {
  console.log(machine(...more));
}

/** Bytes as KiB. */
export function kib(bytes: number): string {
  return `${show(bytes / 1024)} KiB`;
}

/** Prints rows below each other: the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    const cells = row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]));
    console.log(`  ${cells.join("   ")}`);
  }
}
