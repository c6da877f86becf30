import { assert, assertEquals } from "@std/assert";
import { startGateway } from "../support/gateway.ts";
import { TcpClient, upgradeRequest } from "../support/tcp_client.ts";
import { webSocketFrame } from "../support/tcp_client.ts";
import { TRANSPORTS } from "./siege.ts";

const BODY = '{"channel":"smuggled","data":1}';
const SMUGGLED = "POST /api/push/publish HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
  `Content-Length: ${BODY.length}\r\n\r\n${BODY}`;
const POST = "POST /api/push/poll/register HTTP/1.1\r\nHost: 127.0.0.1\r\n";
const length = SMUGGLED.length;

/** Requests whose end is not the same to everybody: a proxy may take for a body what follows. */
const AMBIGUOUS: readonly (readonly [what: string, request: string])[] = [
  [
    "both lengths",
    `${POST}Content-Length: ${length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    "both, the other way",
    `${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
  ],
  ["two lengths", `${POST}Content-Length: 0\r\nContent-Length: ${length}\r\n\r\n`],
  ["a list of lengths", `${POST}Content-Length: 0, ${length}\r\n\r\n`],
  ["a length with a plus", `${POST}Content-Length: +0\r\n\r\n`],
  ["a negative length", `${POST}Content-Length: -1\r\n\r\n`],
  ["a length in hexadecimal", `${POST}Content-Length: 0x0\r\n\r\n`],
  ["a length of nothing", `${POST}Content-Length: \r\n\r\n`],
  ["a length beyond all", `${POST}Content-Length: ${2n ** 64n}\r\n\r\n`],
  ["a blank before the colon", `${POST}Content-Length : ${length}\r\n\r\n`],
  ["a blank before the name", `${POST} Content-Length: ${length}\r\n\r\n`],
  ["a name with a tab", `${POST}Transfer-Encoding\t: chunked\r\n\r\n`],
  ["an unknown coding", `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ["a coding behind chunked", `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ["a chunk with a bad length", `${POST}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n`],
  ["a chunk longer than it says", `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`],
  ["a field without a colon", `${POST}Content-Length\r\n\r\n`],
  ["a zero byte in a field", `${POST}X: a\u0000b\r\n\r\n`],
  ["a carriage return alone", `${POST}X: a\rContent-Length: 0\r\n\r\n`],
];

for (const websocket of TRANSPORTS) {
  Deno.test(`a request whose end is not the same to everybody is refused, and nothing behind it is done (${websocket})`, async (t) => {
    await using served = await startGateway({ websocket });
    for (const [what, request] of AMBIGUOUS) {
      await t.step(what, async () => {
        using client = await TcpClient.connect(served.port);
        await client.write(request + SMUGGLED);
        const answer = await client.answer();
        assert(answer === undefined || answer.status === 400, `${answer?.status}`);
        // The connection is of no use any more.
        if (answer !== undefined) assertEquals(await client.answer(), undefined);
      });
    }
    assertEquals(await served.gateway.channels(), []);
  });

  Deno.test(`what follows a request that was clear is a request of its own (${websocket})`, async () => {
    await using served = await startGateway({ websocket });
    using client = await TcpClient.connect(served.port);
    await client.write(`${POST}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`);
    assertEquals([(await client.answer())?.status, (await client.answer())?.status], [200, 200]);
    assertEquals((await served.gateway.channels()).map(({ name }) => name), ["smuggled"]);
  });

  Deno.test(`behind an upgrade no request is one any more (${websocket})`, async () => {
    await using served = await startGateway({ websocket });
    using client = await TcpClient.connect(served.port);
    await client.write(upgradeRequest("/ws"));
    assertEquals((await client.answer())?.status, 101);
    await client.write(webSocketFrame('{"type":"ping"}'));
    assert(await client.read() !== undefined);
    await client.write(SMUGGLED);
    await client.hungUp();
    assertEquals(await served.gateway.channels(), []);
  });
}
