import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  formatAddress,
  isIn,
  isQuad,
  parseAddress,
  parseNetwork,
} from "../../server/http/address.ts";
import { peerOf, trustedProxies } from "../../server/http/peer.ts";
import type { RequestInfo } from "../../server/listeners/listener.ts";
import { Gateway } from "../../mod.ts";

const SEED = 20_260_923;

Deno.test("parseAddress() reads an address in all its forms, and writes it in one", () => {
  const forms: [text: string, written: string | undefined][] = [
    ["127.0.0.1", "127.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::1", "::1"],
    ["::", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:DB8::0001", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::FFFF:0a00:0001", "10.0.0.1"],
    ["0:0:0:0:0:ffff:10.0.0.1", "10.0.0.1"],
    ["::10.0.0.1", "::a00:1"],
    ["64:ff9b::10.0.0.1", "64:ff9b::a00:1"],
    ...[
      ...[
        "",
        " ",
        "a",
        "1",
        "127.1",
        "0x7f.0.0.1",
        "127.0.0.01",
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3",
      ],
      ...[":", ":::", "1::2::3", "::1.2.3", "12345::", "::g", "[::1]", "::1]", "10.0.0.1:80"],
      ...["::1/64", "localhost", "unknown", "_hidden", "\0", "1:2:3:4:5:6:7:8:9", ":".repeat(99)],
      ...["10.0.0.1\n", "１０.0.0.1"],
    ].map((text): [string, undefined] => [text, undefined]),
  ];
  for (const [text, written] of forms) {
    const bytes = parseAddress(text);
    assertEquals(bytes && formatAddress(bytes), written, JSON.stringify(text));
    assertEquals(isQuad(text), text === written && !text.includes(":"), JSON.stringify(text));
  }
});

Deno.test("formatAddress() and parseAddress() are inverse for every address", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(bytes, (address) => {
      const read = parseAddress(formatAddress(address))!;
      const mapped = address.length === 16 && read.length === 4;
      assertEquals(read, mapped ? address.slice(12) : address);
    }),
    { seed: SEED, numRuns: 2_000 },
  );
});

Deno.test("parseAddress() and parseNetwork() take any text without an error", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[\da-f:./%[\]]{0,50}$/));
  fc.assert(
    fc.property(text, (it) => {
      parseAddress(it);
      parseNetwork(it);
    }),
    { seed: SEED, numRuns: 5_000 },
  );
});

Deno.test("a network has the addresses that begin with its bits, and no others", () => {
  const cases: [network: string, inside: string[], outside: string[]][] = [
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], [
      "11.0.0.0",
      "9.255.255.255",
    ]],
    ["10.1.2.3", ["10.1.2.3", "::ffff:10.1.2.3"], ["10.1.2.2", "10.1.2.4"]],
    ["10.1.2.3/8", ["10.9.9.9"], ["11.1.2.3"]],
    ["192.168.4.0/22", ["192.168.4.0", "192.168.7.255"], ["192.168.3.255", "192.168.8.0"]],
    ["0.0.0.0/0", ["1.2.3.4"], ["::1"]],
    ["::/0", ["::1", "2001:db8::1"], ["1.2.3.4"]],
    ["2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::1"]],
    ["::ffff:10.0.0.0/104", ["10.1.2.3"], ["11.0.0.0"]],
  ];
  for (const [text, inside, outside] of cases) {
    const network = parseNetwork(text)!;
    for (const it of inside) assertEquals(isIn(network, parseAddress(it)!), true, `${text} ${it}`);
    for (const it of outside) {
      assertEquals(isIn(network, parseAddress(it)!), false, `${text} ${it}`);
    }
  }
  for (
    const text of [
      "10.0.0.0/33",
      "10.0.0.0/-1",
      "::/129",
      "::ffff:10.0.0.0/95",
      "10.0.0.0/",
      "/8",
      "a/8",
    ]
  ) {
    assertEquals(parseNetwork(text), undefined, text);
  }
});

function peer(remote: string | undefined, forwarded?: string, trusted: string[] = []) {
  const headers = new Headers();
  if (forwarded !== undefined) headers.set("x-forwarded-for", forwarded);
  return peerOf(remote, false, headers, trustedProxies(trusted)).address;
}

Deno.test("peerOf() believes X-Forwarded-For from its end, as long as it is written by the trusted", () => {
  const two = ["10.0.0.0/8", "192.0.2.7"];
  const cases: [
    what: string,
    remote: string | undefined,
    forwarded: string | undefined,
    trusted: string[],
    address: string | undefined,
  ][] = [
    ["nobody is trusted", "1.2.3.4", "5.6.7.8", [], "1.2.3.4"],
    ["another is trusted", "1.2.3.4", "5.6.7.8", ["10.0.0.0/8"], "1.2.3.4"],
    ["a trusted proxy says nothing", "10.0.0.1", undefined, two, "10.0.0.1"],
    ["a trusted proxy says something empty", "10.0.0.1", "", two, "10.0.0.1"],
    ["one proxy", "10.0.0.1", "1.2.3.4", two, "1.2.3.4"],
    ["two proxies", "10.0.0.1", "1.2.3.4, 192.0.2.7", two, "1.2.3.4"],
    ["what the client made up stands before", "10.0.0.1", "9.9.9.9, 1.2.3.4", two, "1.2.3.4"],
    ["a made up trusted one stands before", "10.0.0.1", "10.0.0.9, 1.2.3.4", two, "1.2.3.4"],
    ["all are trusted", "10.0.0.1", "10.0.0.3, 10.0.0.2", two, "10.0.0.3"],
    ["a hop that is no address", "10.0.0.1", "1.2.3.4, unknown", two, "10.0.0.1"],
    ["such a hop behind a known one", "10.0.0.1", "1.2.3.4, x, 10.0.0.2", two, "10.0.0.2"],
    ["with a port", "10.0.0.1", "1.2.3.4:5678", two, "1.2.3.4"],
    ["IPv6 with a port", "10.0.0.1", "[2001:db8::1]:5678", two, "2001:db8::1"],
    ["IPv6 in brackets", "10.0.0.1", "[2001:DB8::1]", two, "2001:db8::1"],
    ["IPv4 as IPv6", "::ffff:10.0.0.1", "::ffff:1.2.3.4", two, "1.2.3.4"],
    ["loopback, IPv4", "127.0.0.1", "1.2.3.4", ["loopback"], "1.2.3.4"],
    ["loopback, IPv6", "::1", "1.2.3.4", ["loopback"], "1.2.3.4"],
    ["loopback, IPv4 as IPv6", "::ffff:127.9.9.9", "1.2.3.4", ["loopback"], "1.2.3.4"],
    ["not loopback", "128.0.0.1", "1.2.3.4", ["loopback"], "128.0.0.1"],
    ["a Unix socket", undefined, "1.2.3.4", ["loopback"], undefined],
    ["too many hops to read", "10.0.0.1", Array(99).fill("10.0.0.2").join(), two, "10.0.0.2"],
  ];
  for (const [what, remote, forwarded, trusted, address] of cases) {
    assertEquals(peer(remote, forwarded, trusted), address, what);
  }
  assertThrows(() => trustedProxies(["example.com"]), RangeError);
});

Deno.test("peerOf(): whatever a client writes, it never passes for anybody but what the proxy saw", () => {
  const hop = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constant("10.0.0.1"),
    fc.stringMatching(/^[!-~]*$/),
  );
  fc.assert(
    fc.property(fc.array(hop), fc.ipV4(), (made, seen) => {
      const untrusted = `203.${seen.split(".").slice(1).join(".")}`;
      const forwarded = [...made, untrusted].join(", ");
      assertEquals(peer("10.0.0.1", forwarded, ["10.0.0.0/8"]), untrusted);
      // Without a proxy the header says nothing at all.
      assertEquals(peer(untrusted, made.join(","), ["10.0.0.0/8"]), untrusted);
    }),
    { seed: SEED, numRuns: 2_000 },
  );
});

Deno.test("peerOf() believes X-Forwarded-Proto of a trusted proxy, and of nobody else", () => {
  const cases: [remote: string, secure: boolean, proto: string | undefined, wanted: boolean][] = [
    ["10.0.0.1", false, "https", true],
    ["10.0.0.1", false, "wss", true],
    ["10.0.0.1", true, "http", false],
    ["10.0.0.1", false, "https, http", false],
    ["10.0.0.1", false, "http, HTTPS", true],
    ["10.0.0.1", true, "gopher", true],
    ["10.0.0.1", false, undefined, false],
    ["1.2.3.4", false, "https", false],
    ["1.2.3.4", true, "http", true],
  ];
  for (const [remote, secure, proto, wanted] of cases) {
    const headers = new Headers(proto === undefined ? {} : { "x-forwarded-proto": proto });
    assertEquals(peerOf(remote, secure, headers, trustedProxies(["10.0.0.0/8"])).secure, wanted);
  }
});

Deno.test("fetch() takes what Deno.serve says of a request, and does without", async () => {
  await using gateway = new Gateway({ log: { level: "off" } });
  const infos: (RequestInfo | undefined)[] = [
    undefined,
    {},
    { remoteAddr: { transport: "tcp", hostname: "::1" } },
    { remoteAddr: { transport: "unix" } },
  ];
  for (const info of infos) {
    const response = await gateway.fetch(new Request("http://127.0.0.1/health"), info);
    assertEquals((await response.json()).status, "ok");
  }
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, gateway.fetch);
  const response = await fetch(`http://127.0.0.1:${server.addr.port}/health`);
  assertEquals((await response.json()).status, "ok");
});
