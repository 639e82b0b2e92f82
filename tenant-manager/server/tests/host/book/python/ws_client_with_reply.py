"""The client of the app `ws_server_with_reply`.

What it is pushed says what kind of reply is wanted, and has the payload in it;
it replies with a payload alone, as the book's client does.
"""

import sys

import msgpack
from websocket import connect


def main():
    server = connect(sys.argv[1])
    pushed = msgpack.unpackb(server.recv())["WebSocketExtPushData"]
    told = msgpack.unpackb(bytes(pushed["blob"]))
    print(f"the server says {told}", flush=True)
    print(f"it wants a {pushed['kinode_message_type']}", flush=True)
    server.send(msgpack.packb("Hello from client"))
    # It leaves only when it is told to, so that its reply is not overtaken.
    sys.stdin.readline()
    server.close()
    print("done", flush=True)


if __name__ == "__main__":
    main()
