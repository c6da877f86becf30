import { assertEquals } from "@std/assert";
import type { PushError } from "@push/client";
import { setUp } from "./setup.ts";

/** Gives tokens that can be told apart. */
function tokens(): () => string {
  let given = 0;
  return () => `token ${++given}`;
}

Deno.test("a new token is shown over the open connection before the old one has expired", async () => {
  for (const transport of ["websocket", "longpoll"] as const) {
    const { client, gateway, clock } = setUp({ authToken: tokens(), transports: [transport] });
    gateway.terms = { token_expires_in: 100 };
    gateway.answers["auth.refresh"] = ({ request_id }) => {
      return { type: "auth.refreshed", expires_in: 50, request_id };
    };
    await client.connect();
    const shown = () => gateway.of("auth.refresh").map(({ token }) => token);
    await clock.advance(80_000);
    assertEquals(shown(), []);
    await clock.advance(15_000);
    assertEquals(shown(), ["token 2"]);
    await clock.advance(50_000);
    assertEquals(shown(), ["token 2", "token 3"]);
    assertEquals(gateway.of("connect").map(({ token }) => token), ["token 1"]);
    // The next connection begins with the newest.
    gateway.drop(4000);
    await clock.advance(1000);
    assertEquals(gateway.last("connect").token, "token 3");
    await client.disconnect();
    assertEquals(clock.pending, 0);
  }
});

Deno.test("a token that does not expire, or that nobody can give again, is not refreshed", async () => {
  for (const [authToken, seconds] of [[tokens(), undefined], ["fixed", 100]] as const) {
    const { client, gateway, clock } = setUp({ authToken });
    gateway.terms = seconds === undefined ? {} : { token_expires_in: seconds };
    await client.connect();
    await clock.advance(300_000);
    assertEquals(gateway.of("auth.refresh"), []);
    await client.disconnect();
  }
});

Deno.test("once a token no longer expires nothing more is asked for", async () => {
  const { client, gateway, clock } = setUp({ authToken: tokens() });
  gateway.terms = { token_expires_in: 10 };
  gateway.answers["auth.refresh"] = ({ request_id }) => ({ type: "auth.refreshed", request_id });
  await client.connect();
  await clock.advance(100_000);
  assertEquals(gateway.of("auth.refresh").length, 1);
  await client.disconnect();
});

Deno.test("a refused token is told, and the next connection begins with another", async () => {
  for (const close of [4401, 1006]) {
    const { client, gateway, clock, errors } = setUp({ authToken: tokens() });
    gateway.terms = { token_expires_in: 10 };
    gateway.answers["auth.refresh"] = ({ request_id }) => {
      return { type: "error", code: "token_invalid", message: "another subject", request_id };
    };
    await client.connect();
    await clock.advance(9500);
    assertEquals(errors.map(({ error, origin }) => [(error as PushError).code, origin]), [
      ["token_invalid", "token"],
    ]);
    assertEquals(client.state, "connected");
    // However it ends.
    gateway.drop(close);
    await clock.advance(1000);
    assertEquals(gateway.last("connect").token, "token 3");
    await client.disconnect();
  }
});

Deno.test("where no token is to be had in time the connection goes on until it ends", async () => {
  let isBroken = false;
  const { client, gateway, clock, errors } = setUp({
    authToken: () => isBroken ? Promise.reject(new Error("no token today")) : "token",
  });
  gateway.terms = { token_expires_in: 10 };
  await client.connect();
  isBroken = true;
  await clock.advance(9500);
  assertEquals(errors.map(({ origin }) => origin), ["token"]);
  assertEquals([client.state, gateway.of("auth.refresh")], ["connected", []]);
  await client.disconnect();
  assertEquals(clock.pending, 0);
});

Deno.test("a token that comes after the connection is gone is shown on the next one only", async () => {
  let give = (_: string): void => {};
  let asked = 0;
  const { client, gateway, clock } = setUp({
    authToken: () => ++asked === 1 ? "first" : new Promise((resolve) => give = resolve),
  });
  gateway.terms = { token_expires_in: 10 };
  await client.connect();
  await clock.advance(9500);
  gateway.drop(1006);
  await clock.advance(0);
  give("second");
  await clock.advance(1000);
  give("second");
  await clock.advance(0);
  assertEquals(gateway.of("auth.refresh"), []);
  assertEquals(gateway.last("connect").token, "second");
  await client.disconnect();
});
