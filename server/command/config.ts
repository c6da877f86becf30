/**
 * Reads a configuration file: the nested options as JSON, in which comments and trailing commas
 * are allowed.
 *
 * @module
 */
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import type { GivenOptions } from "./flags.ts";
import { type NameSubject, readOptions, REDIS } from "../options/tree.ts";
import { show } from "../options/wording.ts";

/**
 * Reads options from the text of a configuration file.
 *
 * @param file name of the file, for errors
 * @param text its content
 * @throws {TypeError} if it is not JSON, a name is unknown or given twice, or a type wrong
 * @throws {RangeError} if a value is out of range
 */
export function readConfig(file: string, text: string): GivenOptions {
  const source = text.replace(/^\ufeff/, "");
  const errors: ParseError[] = [];
  const root = parseTree(source, errors, { allowTrailingComma: true });
  if (errors.length > 0 || root === undefined) {
    const what = printParseErrorCode(errors[0].error).replace(/\B[A-Z]/g, " $&").toLowerCase();
    const place = placeIn(file, source, errors[0].offset);
    throw new TypeError(`Cannot use ${place}: it is not JSON (${what})`);
  }

  const place = (segments: readonly string[]): string => {
    const value = findNodeAtLocation(root, [...segments]);
    // The name says more than the value, which may begin far behind it.
    const node = value?.parent?.type === "property" ? value.parent : value;
    return placeIn(file, source, node?.offset ?? 0);
  };
  const subject: NameSubject = (path, segments) => `option '${path}' in ${place(segments)}`;

  refuseDoubles(root, file, source);
  const given: GivenOptions = new Map();
  if (root.type !== "object") {
    throw new TypeError(`Cannot use ${placeIn(file, source, root.offset)}: it is no JSON object`);
  }
  for (const [path, value] of readOptions(getNodeValue(root), subject)) {
    given.set(path, {
      value,
      subject: path === REDIS ? `option '${path}'` : subject(path, path.split(".")),
    });
  }
  return given;
}

/** JSON leaves open which of two members of one name counts. */
function refuseDoubles(node: Node, file: string, source: string): void {
  const names = new Set<string>();
  for (const child of node.children ?? []) {
    if (node.type !== "object") continue;
    const [name, value] = child.children!;
    if (names.has(name.value)) {
      throw new TypeError(
        `Cannot use ${placeIn(file, source, name.offset)}: ${show(name.value)} is there twice`,
      );
    }
    names.add(name.value);
    refuseDoubles(value, file, source);
  }
}

function placeIn(file: string, source: string, offset: number): string {
  const lines = source.slice(0, offset).split(/\r\n|\r|\n/);
  return `${show(file).slice(1, -1)}:${lines.length}:${lines.at(-1)!.length + 1}`;
}
