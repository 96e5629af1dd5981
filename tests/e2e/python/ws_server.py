"""A WebSocket echo server by PyPI websockets. Prints its port, then serves until standard input ends.

Arguments, for `wss`: PEM files of its certificate and key.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.server import serve


async def echo(connection):
    lane = connection.request.headers.get("x-gray-lane", "-")
    await connection.send("lane " + lane)
    async for message in connection:
        await connection.send(message)


def tls(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return {"ssl": context}


async def main(*files):
    more = tls(*files) if files else {}
    async with serve(echo, "127.0.0.1", 0, max_size=2**25, subprotocols=["goods.v1"], **more) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
