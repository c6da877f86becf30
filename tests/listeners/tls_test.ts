import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "node:tls";
import { Gateway, type GatewayOptions } from "../../mod.ts";
import { Certificates } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { SocketClock } from "../support/socket_clock.ts";
import { TcpClient } from "../support/tcp_client.ts";
import { until, within } from "../support/within.ts";

const LOOK = 10_000;

/** Whom the certificate of a port is for. */
async function nameAt(port: number, ca: string): Promise<string | undefined> {
  const socket = connect({ port, host: "127.0.0.1", ca });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const name = await within(
    new Promise<string | undefined>((resolve) => {
      socket.once("secureConnect", () => resolve(String(socket.getPeerCertificate().subject.CN)));
      socket.once("error", () => resolve(undefined));
    }),
    "a TLS handshake",
  );
  socket.destroy();
  await closed;
  return name;
}

/** A WebSocket over TLS, and what it hears. */
async function openSocket(port: number, client: Deno.HttpClient) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}/ws`, { client });
  const closed = new Promise<number>((resolve) => socket.onclose = ({ code }) => resolve(code));
  await within(new Promise((resolve) => socket.onopen = resolve), "a WebSocket to open");
  const ask = async (): Promise<string> => {
    const answer = new Promise<string>((resolve) => socket.onmessage = ({ data }) => resolve(data));
    socket.send('{"type":"ping"}');
    return await within(answer, "an answer");
  };
  return { socket, closed, ask };
}

for (const websocket of ["deno", "ws"] as const) {
  const open = async (certificates: Certificates, clock = new SocketClock()) => {
    const tls = certificates.options;
    return await startGateway({ websocket, tls }, { clock });
  };

  Deno.test(`TLS over ${websocket}: HTTP and WebSocket are spoken over it, and nothing without`, async () => {
    await using certificates = await Certificates.make();
    using client = Deno.createHttpClient({ caCerts: [certificates.authority] });
    await using served = await open(certificates);
    const response = await fetch(`https://127.0.0.1:${served.port}/health`, { client });
    assertEquals((await response.json()).status, "ok");
    const { socket, closed, ask } = await openSocket(served.port, client);
    assertEquals(await ask(), '{"type":"pong"}');
    socket.close();
    await closed;

    using plain = await TcpClient.connect(served.port);
    await plain.write("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    await plain.hungUp();
    assertEquals(await nameAt(served.port, certificates.authority), "first");
  });

  Deno.test(`TLS over ${websocket}: a renewed certificate is shown to who comes next`, async () => {
    await using certificates = await Certificates.make();
    using client = Deno.createHttpClient({ caCerts: [certificates.authority] });
    const clock = new SocketClock();
    await using served = await open(certificates, clock);
    const { authority } = certificates;
    const { socket, closed, ask } = await openSocket(served.port, client);
    await ask();

    await clock.advance(LOOK);
    assertEquals(await nameAt(served.port, authority), "first");
    await certificates.renew("second");
    await clock.advance(LOOK);
    await until(
      async () => await nameAt(served.port, authority) === "second",
      "the renewed certificate is shown",
    );
    if (websocket === "ws") {
      assertEquals(await ask(), '{"type":"pong"}', "who was connected notices nothing");
      socket.close();
    } else {
      assertEquals(await closed, 4000, "who was connected is told to come back");
    }
    await closed;
    const again = await openSocket(served.port, client);
    assertEquals(await again.ask(), '{"type":"pong"}');
    again.socket.close();
    await again.closed;
  });

  Deno.test(`TLS over ${websocket}: files that do not fit together change nothing, until they do`, async () => {
    await using certificates = await Certificates.make();
    const clock = new SocketClock();
    const events: string[] = [];
    await using gateway = new Gateway({
      port: 0,
      websocket,
      tls: certificates.options,
      log: { level: "info" },
      push: { enabled: true },
    }, { clock, log: ({ event }) => void events.push(event) });
    await gateway.start();
    const { port } = gateway.address;
    const key = await Deno.readTextFile(certificates.options.key);
    await certificates.renew("second");
    const renewedKey = await Deno.readTextFile(certificates.options.key);
    await Deno.writeTextFile(certificates.options.key, key);
    await clock.advance(LOOK);
    await clock.advance(LOOK);
    assertEquals(await nameAt(port, certificates.authority), "first");
    assertEquals(events.filter((event) => event.startsWith("tls.")), ["tls.failed"]);

    await Deno.writeTextFile(certificates.options.key, renewedKey);
    await clock.advance(LOOK);
    await until(
      async () => await nameAt(port, certificates.authority) === "second",
      "the renewed certificate is shown",
    );
    assertEquals(events.filter((event) => event.startsWith("tls.")), ["tls.failed", "tls.renewed"]);
  });
}

Deno.test("TLS: what cannot be used is refused at the start, with the name of the file", async () => {
  await using certificates = await Certificates.make();
  const { cert, key } = certificates.options;
  const other = certificates.path("other.key");
  await Deno.writeTextFile(other, await Deno.readTextFile(certificates.path("ca.key")));
  const nonsense = certificates.path("nonsense.pem");
  await Deno.writeTextFile(nonsense, "nonsense");
  const none = certificates.path("none.pem");
  const cases: [tls: GatewayOptions["tls"], message: string][] = [
    [{ cert }, "Cannot use option 'tls.cert' without 'tls.key'"],
    [{ key }, "Cannot use option 'tls.key' without 'tls.cert'"],
    [{ cert: none, key }, "there is no such file"],
    [{ cert, key: none }, "there is no such file"],
    [{ cert: certificates.path("."), key }, "it is a directory"],
    [{ cert: nonsense, key }, "it is no certificate in PEM"],
    [{ cert, key: nonsense }, "it is no key in PEM"],
    [{ cert, key: other }, "it is not that of certificate"],
  ];
  for (const websocket of ["deno", "ws"] as const) {
    for (const [tls, message] of cases) {
      const gateway = new Gateway({ port: 0, websocket, tls, push: { enabled: true } });
      await assertRejects(() => gateway.start(), TypeError, message);
    }
  }
});
