"""A client of the fixed wire over long-polling, written against its description alone.

Usage: polling_client.py URL, where URL is that of the WebSocket. The token comes in the environment
variable TOKEN. Every message that arrives, and every answer, is printed as one line of JSON; a
message whose data is "stop" ends the program.
"""

import asyncio
import json
import os
import sys

import aiohttp

POLL_TIMEOUT = 30


def base_of(url):
    http = url.replace("ws://", "http://", 1).replace("wss://", "https://", 1)
    return http[: -len("/ws")] if http.endswith("/ws") else http


class Client:
    def __init__(self, session, base):
        self.session = session
        self.base = base
        self.poll_token = None

    async def post(self, route, **body):
        if self.poll_token is not None:
            body["poll_token"] = self.poll_token
        url = f"{self.base}/api/push/poll/{route}"
        timeout = aiohttp.ClientTimeout(total=POLL_TIMEOUT + 10)
        async with self.session.post(url, json=body, timeout=timeout) as response:
            response.raise_for_status()
            answer = await response.json()
        if route != "messages":
            print(json.dumps({"route": route, "answer": answer}), flush=True)
        return answer

    async def presence(self, channel):
        url = f"{self.base}/api/push/poll/presence"
        async with self.session.get(url, params={"channel": channel}) as response:
            response.raise_for_status()
            answer = await response.json()
        print(json.dumps({"route": "presence", "answer": answer}), flush=True)

    async def settle(self, message):
        event_id = message.get("event_id")
        if event_id is not None:
            await self.post("ack", event_id=event_id)


async def main(url):
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        client = Client(session, base_of(url))
        registered = await client.post("register")
        client.poll_token = registered["poll_token"]
        await client.post("subscribe", channel="alerts")
        await client.post("heartbeat", status="online", metadata={"lang": "python"})
        await client.presence("alerts")
        await client.post("publish", channel="replies", data={"hello": "world"})
        stopped = False
        settling = []
        while not stopped:
            answer = await client.post("messages", timeout=POLL_TIMEOUT)
            for message in answer["messages"]:
                print(json.dumps(message), flush=True)
                # As a client would that does not wait for its acknowledgements before it polls.
                settling.append(asyncio.create_task(client.settle(message)))
                stopped = stopped or message.get("data") == "stop"
            await asyncio.sleep(answer["poll_interval_hint"])
        await asyncio.gather(*settling)
        await client.post("unsubscribe", channel="alerts")


asyncio.run(main(sys.argv[1]))
