/**
 * A set of message numbers, as a sorted list of edges: the first number that is in, the first behind
 * it that is not, and so on. Numbers that follow each other cost two edges, however many they are.
 *
 * @module
 */
import type { Ranges } from "./protocol/frames.ts";

/** The edges. An even count of them at or below a number means that the number is not in the set. */
export type Numbers = number[];

/** Whether `n` is in the set. */
export function hasNumber(edges: Numbers, n: number): boolean {
  return countEdges(edges, n) % 2 === 1;
}

/** Puts `n` in the set. */
export function addNumber(edges: Numbers, n: number): void {
  const { length } = edges;
  // In order, as most come.
  if (edges[length - 1] === n && length % 2 === 0) return void (edges[length - 1] = n + 1);
  const from = countEdges(edges, n - 1);
  const to = countEdges(edges, n + 1);
  // An edge stays where what is outside of `n` is not in the set.
  edges.splice(from, to - from, ...from % 2 ? [] : [n], ...to % 2 ? [] : [n + 1]);
}

/** Takes everything above `n` out of the set. */
export function dropAbove(edges: Numbers, n: number): void {
  edges.length = countEdges(edges, n);
  if (edges.length % 2) edges.push(n + 1);
}

/** The set as ranges. */
export function rangesOf(edges: Numbers): Ranges {
  return edges.map((edge, i) => edge - i % 2);
}

/** The set of these numbers. */
export function numbersOf(numbers: Iterable<number>): Numbers {
  const edges: Numbers = [];
  for (const n of numbers) addNumber(edges, n);
  return edges;
}

/** How many edges are at or below `n`. */
function countEdges(edges: Numbers, n: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle] > n) high = middle;
    else low = middle + 1;
  }
  return low;
}
