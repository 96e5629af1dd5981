"""A gRPC service by PyPI grpcio, over TLS. Prints its port, then serves until standard input ends.

Arguments: PEM files of its certificate and key. Messages are plain text, so that nothing has to be generated.
"""

import sys
from concurrent import futures
from pathlib import Path

import grpc

LONG = 2**22


def quote(request, context):
    if request == b"0":
        context.set_trailing_metadata((("x-detail", "sku 0"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "no such SKU: 商品")
    lane = dict(context.invocation_metadata()).get("x-gray-lane", "-")
    context.send_initial_metadata((("x-lane-seen", lane),))
    return b"price of " + request


def watch(request, context):
    for step in range(int(request)):
        yield str(step + 1).encode()


def total(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def chat(requests, context):
    for request in requests:
        yield b"re: " + request


def main(certificate, key):
    server = grpc.server(
        futures.ThreadPoolExecutor(4),
        options=(("grpc.max_receive_message_length", LONG), ("grpc.so_reuseport", 0)),
    )
    methods = {
        "Quote": grpc.unary_unary_rpc_method_handler(quote),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("goods.Prices", methods),))
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials((pair,)))
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


main(*sys.argv[1:])
