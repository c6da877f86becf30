/**
 * Reads the fields of nested interfaces from their source, as `deno doc` sees them.
 *
 * @module
 */

/** A field that holds a value. */
export interface Field {
  /** As in `number`, `string | undefined`, `"a" | "b"`. */
  readonly type: string;
  readonly doc: string;
  readonly optional: boolean;
}

interface TsType {
  readonly kind: string;
  readonly repr: string;
  readonly value: unknown;
}

interface Doc {
  readonly nodes: Record<string, {
    readonly symbols: {
      readonly name: string;
      readonly declarations: {
        readonly kind: string;
        readonly def: {
          readonly properties?: {
            readonly name: string;
            readonly optional?: boolean;
            readonly tsType: TsType;
            readonly jsDoc?: { readonly doc?: string };
          }[];
        };
      }[];
    }[];
  }>;
}

/** The fields of the interface `root` in `file` and of those it refers to, by their path. */
export async function fieldsOf(file: URL, root: string): Promise<Map<string, Field>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", file.href],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const doc: Doc = JSON.parse(new TextDecoder().decode(stdout));
  const interfaces = new Map(
    Object.values(doc.nodes).flatMap(({ symbols }) =>
      symbols.map(({ name, declarations }) => [name, declarations[0].def.properties ?? []])
    ),
  );
  const fields = new Map<string, Field>();
  function walk(name: string, above: string): void {
    for (const { name: last, tsType, jsDoc, optional } of interfaces.get(name)!) {
      const path = above === "" ? last : `${above}.${last}`;
      const below = membersOf(tsType).map(({ repr }) => repr).find((it) => interfaces.has(it));
      if (below !== undefined) walk(below, path);
      else {
        fields.set(path, {
          type: membersOf(tsType).map(textOf).join(" | "),
          doc: jsDoc?.doc ?? "",
          optional: optional === true,
        });
      }
    }
  }
  walk(root, "");
  return fields;
}

function membersOf(type: TsType): TsType[] {
  return type.kind === "union" ? type.value as TsType[] : [type];
}

function textOf(type: TsType): string {
  if (type.kind === "array") return `${textOf(type.value as TsType)}[]`;
  if (type.kind === "typeOperator") {
    const { operator, tsType } = type.value as { operator: string; tsType: TsType };
    return `${operator} ${textOf(tsType)}`;
  }
  return type.kind === "literal" ? JSON.stringify(type.repr) : type.repr;
}
