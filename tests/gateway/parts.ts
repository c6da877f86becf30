import { assertEquals, assertRejects } from "@std/assert";
import { PushError } from "../../client/protocol/mod.ts";
import type { GatewayOptions, Store } from "../../mod.ts";
import { systemRandom } from "../../server/clock.ts";
import { resolveOptions } from "../../server/options/options.ts";
import { QUIET } from "../support/gateway.ts";
import { openStore } from "../../server/stores/open.ts";

/** Options of a gateway that pushes, on a free port, and logs nothing. */
export const ON: GatewayOptions = { port: 0, log: QUIET, push: { enabled: true } };

/** Asserts that a task fails with a code. */
export async function assertPushError(code: string, task: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(task, PushError);
  assertEquals(error.code, code);
}

/** A memory store, not open yet. */
export function memoryStore(): Store {
  return openStore(resolveOptions(ON).push, systemRandom);
}

/** A memory store with some of its operations replaced. */
export function storeWith(changes: Partial<Store>): Store {
  return new Proxy(memoryStore(), {
    get(target, key) {
      const value = Reflect.get(changes, key) ?? Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
