"""A WebSocket client by PyPI websockets: echoes texts, binaries, a large message and a ping; prints `ok` at the end.

Arguments: the URL, and for `wss` a PEM file of the authority that vouches for `shop.test`.
"""

import asyncio
import os
import ssl
import sys

from websockets.asyncio.client import connect


def tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    return {"ssl": context, "server_hostname": "shop.test"}


async def main(url, *authority):
    more = tls(*authority) if authority else {}
    async with connect(url, max_size=2**25, subprotocols=["goods.v1"], **more) as connection:
        assert connection.subprotocol == "goods.v1", connection.subprotocol
        greeting = await connection.recv()
        assert greeting == "lane stable", greeting
        for text in ("hello", "", "商品 10086", "x" * 70_000):
            await connection.send(text)
            assert await connection.recv() == text
        binary = os.urandom(4 * 1024 * 1024)
        await connection.send(binary)
        assert await connection.recv() == binary
        await asyncio.wait_for(await connection.ping(), 20)
        await connection.send(part for part in ("in ", "three ", "frames"))
        assert await connection.recv() == "in three frames"
    assert connection.close_code == 1000, connection.close_code
    print("ok")


asyncio.run(main(*sys.argv[1:]))
