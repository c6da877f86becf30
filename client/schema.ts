import type { Kind } from "./check.ts";
import { PushError } from "./protocol/error.ts";

/**
 * A schema, as every library of Standard Schema (version 1) makes it: Zod, Valibot, ArkType and
 * others. It says whether a payload is what is wanted, and what becomes of it.
 *
 * @typeParam T what it makes of a payload
 */
export interface Schema<T = unknown> {
  /** What the standard defines. */
  readonly "~standard": {
    /** Version of the standard. */
    readonly version: 1;
    /** Name of the library. */
    readonly vendor: string;
    /** Takes a payload apart, at once or later. */
    readonly validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>;
  };
}

/** What a {@linkcode Schema} says: a value, or what is wrong. */
export type SchemaResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** What is wrong with a payload. */
export interface SchemaIssue {
  /** In words. */
  readonly message: string;
  /** Where: keys from the payload inwards. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A schema, or nothing. */
export const SCHEMA: Kind = [
  "a Standard Schema",
  // Some libraries make functions of them.
  (value) => typeof (value as Schema | null)?.["~standard"]?.validate === "function",
];

/**
 * What a schema makes of a payload.
 *
 * @throws {PushError} `invalid_message` if it is not what is wanted
 */
export async function conform<T>(schema: Schema<T>, data: unknown): Promise<T> {
  const result = await schema["~standard"].validate(data);
  if (!result.issues) return result.value;
  const wrong = result.issues.map(({ message, path = [] }) =>
    [...path.map((key) => String((key as { key?: PropertyKey }).key ?? key)), message].join(": ")
  );
  throw new PushError("invalid_message", wrong.join("; "));
}
