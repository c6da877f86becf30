/**
 * What somebody who mistyped a name may have meant.
 *
 * @module
 */

const LONGEST = 64;

/**
 * The name that is most like a mistyped one.
 *
 * @param mistyped what was written; `ack_timeout` and `ack-timeout` count as `ackTimeout`
 * @param names what there is
 * @returns the nearest name, or `undefined` if none is near
 */
export function nearest(mistyped: string, names: Iterable<string>): string | undefined {
  if (mistyped.length > LONGEST) return undefined;
  const written = plain(mistyped);
  // A third of the letters may be wrong, or two that changed places.
  let least = Math.min(Math.max(2, Math.floor(written.length / 3)), written.length - 1) + 1;
  let found: string | undefined;
  for (const name of names) {
    const distance = edits(written, plain(name));
    if (distance >= least) continue;
    least = distance;
    found = name;
  }
  return found;
}

function plain(name: string): string {
  return name.replace(/[-_.]/g, "").toLowerCase();
}

/** Letters to insert, delete or replace until `a` is `b` (Levenshtein, row by row). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
