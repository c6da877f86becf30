"""A client of the fixed wire over a WebSocket, written against its description alone.

Usage: websocket_client.py URL HOW, where HOW is `header` or `query`: how the token travels.
The token comes in the environment variable TOKEN. Every frame that arrives is printed as one line
of JSON; a message whose data is "stop" ends the program.
"""

import asyncio
import inspect
import json
import os
import sys

import websockets

REPLIES = {"ack_received", "nack_received"}
HEARTBEAT_INTERVAL = 15


def connect(url, how, token):
    if how == "query":
        return websockets.connect(f"{url}&token={token}")
    # The name of the argument changed with version 14 of the library.
    legacy = "extra_headers" in inspect.signature(websockets.connect).parameters
    name = "extra_headers" if legacy else "additional_headers"
    return websockets.connect(url, **{name: {"Authorization": f"Bearer {token}"}})


async def heartbeat(socket):
    while True:
        await send(socket, type="presence.heartbeat", status="online", metadata={"lang": "python"})
        await asyncio.sleep(HEARTBEAT_INTERVAL)


async def send(socket, **frame):
    await socket.send(json.dumps(frame))


async def main(url, how):
    async with connect(url, how, os.environ["TOKEN"]) as socket:
        beating = asyncio.create_task(heartbeat(socket))
        await send(socket, type="channel.create", channel="python", metadata={"made": "here"})
        await send(socket, type="channel.subscribe", channel="alerts")
        await send(socket, type="channel.list")
        await send(socket, type="channel.publish", channel="replies", data={"hello": "world"})
        async for text in socket:
            frame = json.loads(text)
            print(json.dumps(frame), flush=True)
            if not isinstance(frame, dict):
                raise TypeError("a frame of the fixed wire is one JSON object")
            if "event_id" in frame and frame["type"] not in REPLIES:
                if frame.get("data") == "again" and not frame.get("_redelivered"):
                    await send(socket, type="message_nack", event_id=frame["event_id"])
                else:
                    await send(socket, type="message_ack", event_id=frame["event_id"])
            if frame["type"] == "channel.subscribed":
                await send(socket, type="presence.query", channel="alerts")
                await send(socket, type="ping")
            if frame.get("data") == "stop":
                await send(socket, type="channel.unsubscribe", channel="alerts")
            if frame["type"] == "channel.unsubscribed":
                break
        beating.cancel()


asyncio.run(main(sys.argv[1], sys.argv[2]))
