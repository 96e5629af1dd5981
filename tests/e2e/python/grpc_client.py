"""A gRPC client by PyPI grpcio, over TLS: all four kinds of calls, an error, a deadline, a call given up; prints `ok`.

Arguments: the address, and a PEM file of the authority that vouches for `shop.test`.
"""

import queue
import sys
from pathlib import Path

import grpc

PATIENCE = 30


def check(channel):
    call = lambda kind, method: getattr(channel, kind)("/goods.Prices/" + method)
    quote = call("unary_unary", "Quote")

    answer, told = quote.with_call("10086 手机".encode(), timeout=PATIENCE)
    assert answer == "price of 10086 手机".encode(), answer
    assert dict(told.initial_metadata())["x-lane-seen"] == "stable", told.initial_metadata()
    assert told.code() == grpc.StatusCode.OK, told.code()

    try:
        quote(b"0", timeout=PATIENCE)
        raise AssertionError("no such SKU, and a price")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        assert error.details() == "no such SKU: 商品", error.details()
        assert dict(error.trailing_metadata())["x-detail"] == "sku 0", error.trailing_metadata()

    watched = list(call("unary_stream", "Watch")(b"1000", timeout=PATIENCE))
    assert watched == [str(step + 1).encode() for step in range(1000)], watched[-1]

    # Eight MiB, far more than every window on the way.
    total = call("stream_unary", "Total")((b"x" * 2**20 for _ in range(8)), timeout=PATIENCE)
    assert total == str(8 * 2**20).encode(), total

    say = queue.Queue()
    said = call("stream_stream", "Chat")(iter(say.get, None), timeout=PATIENCE)
    for turn in range(20):
        say.put(b"turn %d" % turn)
        heard = next(said)
        assert heard == b"re: turn %d" % turn, heard

    # Nobody says anything more: the caller's time runs out, and only for that call.
    silent = call("stream_stream", "Chat")(iter(queue.Queue().get, None), timeout=0.3)
    try:
        next(silent)
        raise AssertionError("an answer to nothing")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error

    say.put(b"still there?")
    assert next(said) == b"re: still there?"
    said.cancel()
    assert said.code() == grpc.StatusCode.CANCELLED, said.code()
    say.put(None)
    assert quote(b"1", timeout=PATIENCE) == b"price of 1"


def main(address, authority):
    credentials = grpc.ssl_channel_credentials(Path(authority).read_bytes())
    options = (("grpc.ssl_target_name_override", "shop.test"),)
    with grpc.secure_channel(address, credentials, options) as channel:
        check(channel)
    print("ok", flush=True)


main(*sys.argv[1:])
