/**
 * Stands in for `jsr:@std/assert` in a checkout, so that it builds with the npm registry alone: the
 * same code from the npm package `deno-std`, with the types of the original. Never published.
 *
 * @module
 */

import { assertAlmostEquals as almostEquals } from "deno-std/assert/almost_equals.js";
import { assertArrayIncludes as arrayIncludes } from "deno-std/assert/array_includes.js";
import { assert as truthy } from "deno-std/assert/assert.js";
import { AssertionError as AssertionErrorClass } from "deno-std/assert/assertion_error.js";
import { equal as isEqual } from "deno-std/assert/equal.js";
import { assertEquals as equals } from "deno-std/assert/equals.js";
import { assertExists as exists } from "deno-std/assert/exists.js";
import { fail as failNow } from "deno-std/assert/fail.js";
import { assertFalse as falsy } from "deno-std/assert/false.js";
import { assertGreater as greater } from "deno-std/assert/greater.js";
import { assertGreaterOrEqual as greaterOrEqual } from "deno-std/assert/greater_or_equal.js";
import { assertInstanceOf as instanceOf } from "deno-std/assert/instance_of.js";
import { assertIsError as isError } from "deno-std/assert/is_error.js";
import { assertLess as less } from "deno-std/assert/less.js";
import { assertLessOrEqual as lessOrEqual } from "deno-std/assert/less_or_equal.js";
import { assertMatch as match } from "deno-std/assert/match.js";
import { assertNotEquals as notEquals } from "deno-std/assert/not_equals.js";
import { assertNotInstanceOf as notInstanceOf } from "deno-std/assert/not_instance_of.js";
import { assertNotMatch as notMatch } from "deno-std/assert/not_match.js";
import { assertNotStrictEquals as notStrictEquals } from "deno-std/assert/not_strict_equals.js";
import { assertObjectMatch as objectMatch } from "deno-std/assert/object_match.js";
import { assertRejects as rejects } from "deno-std/assert/rejects.js";
import { assertStrictEquals as strictEquals } from "deno-std/assert/strict_equals.js";
import { assertStringIncludes as stringIncludes } from "deno-std/assert/string_includes.js";
import { assertThrows as throws } from "deno-std/assert/throws.js";
import { unimplemented as notImplemented } from "deno-std/assert/unimplemented.js";
import { unreachable as notReachable } from "deno-std/assert/unreachable.js";

// deno-lint-ignore no-explicit-any
type AnyClass<T = any> = abstract new (...args: any[]) => T;

/** Anything that evaluates to false. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** What {@linkcode assertArrayIncludes} takes: an object with a length and numbered elements. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** Thrown by every assertion of this package. */
export type AssertionError = Error;

/** Thrown by every assertion of this package. */
export const AssertionError: new (message: string, options?: ErrorOptions) => AssertionError =
  AssertionErrorClass;

/** Asserts that `expr` is truthy. */
export const assert: (expr: unknown, msg?: string) => asserts expr = truthy;

/** Asserts that two numbers differ by no more than `tolerance`. */
export const assertAlmostEquals: (
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
) => void = almostEquals;

/** Asserts that `actual` holds every element of `expected`. */
export const assertArrayIncludes: <T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
) => void = arrayIncludes;

/** Asserts that two values are deeply equal. */
export const assertEquals: <T>(actual: T, expected: T, msg?: string) => void = equals;

/** Asserts that a value is neither `null` nor `undefined`. */
export const assertExists: <T>(
  actual: T,
  msg?: string,
) => asserts actual is NonNullable<T> = exists;

/** Asserts that `expr` is falsy. */
export const assertFalse: (expr: unknown, msg?: string) => asserts expr is Falsy = falsy;

/** Asserts that `actual > expected`. */
export const assertGreater: <T>(actual: T, expected: T, msg?: string) => void = greater;

/** Asserts that `actual >= expected`. */
export const assertGreaterOrEqual: <T>(actual: T, expected: T, msg?: string) => void =
  greaterOrEqual;

/** Asserts that a value is an instance of a class. */
export const assertInstanceOf: <T extends AnyClass>(
  actual: unknown,
  expectedType: T,
  msg?: string,
) => asserts actual is InstanceType<T> = instanceOf;

/** Asserts that a value is an `Error`, of this class and with this message where they are given. */
export const assertIsError: <E extends Error = Error>(
  error: unknown,
  ErrorClass?: AnyClass<E>,
  msgMatches?: string | RegExp,
  msg?: string,
) => asserts error is E = isError;

/** Asserts that `actual < expected`. */
export const assertLess: <T>(actual: T, expected: T, msg?: string) => void = less;

/** Asserts that `actual <= expected`. */
export const assertLessOrEqual: <T>(actual: T, expected: T, msg?: string) => void = lessOrEqual;

/** Asserts that a string matches an expression. */
export const assertMatch: (actual: string, expected: RegExp, msg?: string) => void = match;

/** Asserts that two values are not deeply equal. */
export const assertNotEquals: <T>(actual: T, expected: T, msg?: string) => void = notEquals;

/** Asserts that a value is no instance of a class. */
export const assertNotInstanceOf: <A, T>(
  actual: A,
  unexpectedType: AnyClass<T>,
  msg?: string,
) => asserts actual is Exclude<A, T> = notInstanceOf;

/** Asserts that a string does not match an expression. */
export const assertNotMatch: (actual: string, expected: RegExp, msg?: string) => void = notMatch;

/** Asserts that two values are not the same by `Object.is`. */
export const assertNotStrictEquals: <T>(actual: T, expected: T, msg?: string) => void =
  notStrictEquals;

/** Asserts that `expected` is a deep subset of `actual`. */
export const assertObjectMatch: (
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
) => void = objectMatch;

/** Asserts that a promise is rejected, with this class and message where they are given. */
export const assertRejects: {
  (fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
  <E extends Error = Error>(
    fn: () => PromiseLike<unknown>,
    ErrorClass: AnyClass<E>,
    msgIncludes?: string,
    msg?: string,
  ): Promise<E>;
} = rejects;

/** Asserts that two values are the same by `Object.is`. */
export const assertStrictEquals: <T>(
  actual: unknown,
  expected: T,
  msg?: string,
) => asserts actual is T = strictEquals;

/** Asserts that a string contains another. */
export const assertStringIncludes: (actual: string, expected: string, msg?: string) => void =
  stringIncludes;

/** Asserts that a function throws, with this class and message where they are given. */
export const assertThrows: {
  (fn: () => unknown, msg?: string): unknown;
  <E extends Error = Error>(
    fn: () => unknown,
    ErrorClass: AnyClass<E>,
    msgIncludes?: string,
    msg?: string,
  ): E;
} = throws;

/** Whether two values are deeply equal. */
export const equal: (a: unknown, b: unknown) => boolean = isEqual;

/** Fails at once. */
export const fail: (msg?: string) => never = failNow;

/** Marks what is not implemented. */
export const unimplemented: (msg?: string) => never = notImplemented;

/** Marks what is never reached. */
export const unreachable: (msg?: string) => never = notReachable;
