/** A test that shows a row, by its file and by words of its title. */
export type Shown = readonly [file: string, title: string];

/**
 * What hostile input is met with, row by row, and the tests that show it: malformed and hostile input
 * from the wire up to what an operator has made of the store.
 */
export const ROWS: Readonly<Record<string, readonly Shown[]>> = {
  "63 binary and empty frames, pings, pongs": [
    ["rfc6455/rfc6455_test.ts", "RFC 6455, ${what}, over ${transport}"],
    ["gateway/hostile_test.ts", "a binary frame, of whatever length"],
  ],
  "64 bad UTF-8": [
    ["rfc6455/rfc6455_test.ts", "RFC 6455, ${what}, over ${transport}"],
    ["gateway/hostile_test.ts", "what breaks the WebSocket protocol loses its connection"],
  ],
  "65 unmasked frames": [["rfc6455/rfc6455_test.ts", "RFC 6455, ${what}, over ${transport}"]],
  "66 reserved bits and opcodes, control frames, close codes": [
    ["rfc6455/rfc6455_test.ts", "RFC 6455, ${what}, over ${transport}"],
  ],
  "67 lengths that are too large, or only said": [
    ["rfc6455/rfc6455_test.ts", "over ws a length that is too large is refused"],
    ["rfc6455/rfc6455_test.ts", "silence behind half a frame is ended by idleTimeout"],
    ["gateway/hostile_test.ts", "a text frame of 10 MB ends its connection"],
  ],
  "68 messages in endless fragments": [
    ["rfc6455/rfc6455_test.ts", "RFC 6455, ${what}, over ${transport}"],
    ["dev/attacks_test.ts", "a small '${name}' ends nobody but the attacker"],
  ],
  "69 what is no JSON, and JSON that nobody writes": [
    ["hostile/json_test.ts", "what is no JSON object is answered with one short error"],
    ["hostile/json_test.ts", "frames that nobody writes are answered like others"],
  ],
  "70 unknown types, missing, mistyped and further fields": [
    ["hostile/fields_test.ts", "every field of every frame that is missing or wrong is named"],
    ["hostile/fields_test.ts", "every field of every body that is missing or wrong is named"],
    ["hostile/fields_test.ts", "fields that nobody reads change nothing"],
    ["hostile/mutation_frames_test.ts", "mutated frames of the fixed wire"],
    ["hostile/mutation_frames_test.ts", "mutated frames of the extended wire"],
    ["hostile/mutation_http_test.ts", "mutated bodies"],
  ],
  "71 before, without, beside and after a token": [
    ["hostile/auth_test.ts", "nothing that comes before the token is done"],
    ["hostile/auth_test.ts", "who shows no token in time is closed"],
    ["hostile/auth_test.ts", "who is in is not let in again"],
    ["hostile/auth_test.ts", "a forged JSON Web Token lets nobody in"],
    ["hostile/auth_test.ts", "a public key is no secret"],
    ["hostile/auth_test.ts", "a token that ends while its client is connected"],
    ["hostile/mutation_http_test.ts", "what is nearly the token is refused"],
  ],
  "72 origins": [
    ["hostile/origin_test.ts", "a page of another origin is refused before its upgrade"],
    ["hostile/origin_test.ts", "no cookie is an identity"],
    ["http/hosts_test.ts", "every route is closed to a page of a rebound name"],
  ],
  "73 handshakes and requests": [
    ["rfc6455/rfc6455_test.ts", "RFC 6455, opening handshakes, over ${transport}"],
    ["hostile/smuggling_test.ts", "a request whose end is not the same to everybody"],
    ["hostile/mutation_http_test.ts", "mutated heads are answered or dropped"],
  ],
  "74 names": [
    ["hostile/names_test.ts", "a name that no channel can have is refused by every frame"],
    ["hostile/names_test.ts", "channels of their own in Redis, each with one hash tag"],
  ],
  "75 patterns": [
    ["access/pattern_test.ts", "the steps of a match are bounded"],
  ],
  "76 floods": [
    ["limits/flood_test.ts", "a flood over ${websocket}"],
    ["core/slices_test.ts", "a client that sends a thousand frames at once keeps nobody waiting"],
  ],
  "77 connections that say nothing, and no descriptors left": [
    ["hostile/descriptors_test.ts", "connections that use up all file descriptors"],
    ["dev/attacks_test.ts", "a small '${name}' ends nobody but the attacker"],
  ],
  "78 guesses": [
    ["hostile/poll_tokens_test.ts", "a poll token that never was, was ended, timed out"],
    ["limits/flood_test.ts", "wrong tokens in first frames count as those in headers do"],
  ],
  "79 presence": [
    ["hostile/presence_test.ts", "nobody is present as somebody else"],
    ["hostile/presence_test.ts", "metadata and a status beyond their limits"],
    ["hostile/presence_test.ts", "who comes and goes without end"],
  ],
  "80 channels without end": [["limits/flood_test.ts", "channels without end"]],
  "81 requests of the gateway's own": [
    ["hostile/auth_test.ts", "and no key is fetched from where it says"],
  ],
  "82 what an operator has made of the store": [
    ["hostile/store_test.ts", "an entry in Redis that an operator has spoiled"],
    ["stores/kv/corrupt_test.ts", "KvStore sets unreadable entries aside"],
    ["stores/redis/log_hostile_test.ts", "keys that are a ${type} of another program"],
  ],
  "takeover and tenants": [
    ["hostile/tenants_test.ts", "a client id of one subject is none of another's"],
    ["hostile/tenants_test.ts", "a minted id and its secret are worth nothing to another subject"],
    ["hostile/tenants_test.ts", "publish ids of two subjects do not meet"],
    ["hostile/tenants_test.ts", "without the right 'admin'"],
    ["hostile/tenants_test.ts", "a channel that somebody may not use answers alike"],
    ["hostile/tenants_test.ts", "lists hold only what may be seen"],
  ],
};
