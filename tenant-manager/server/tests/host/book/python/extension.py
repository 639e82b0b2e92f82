"""The extension of the app `extension`: arithmetic that is Python's own.

Work is a map of MessagePack with an `op`. Each reply has the id and the kind
that its work came with. Ends when the node closes the connection.
"""

import math
import statistics
import sys

import msgpack
from websocket import Closed, Refused, connect

OPERATIONS = {
    "factorial": lambda work: str(math.factorial(work["n"])),
    "median": lambda work: statistics.median(work["of"]),
    "upper": lambda work: work["text"].upper(),
    "length": lambda work: len(work["bytes"]),
    "bytes": lambda work: bytes([7]) * work["n"],
}


def result(work):
    if isinstance(work, str):
        return work[::-1]
    try:
        return {"ok": OPERATIONS[work["op"]](work)}
    except (KeyError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    try:
        node = connect(sys.argv[1])
    except Refused as refused:
        print(f"refused with {refused.status}", flush=True)
        return
    print("connected", flush=True)
    try:
        while True:
            pushed = msgpack.unpackb(node.recv())["WebSocketExtPushData"]
            work = msgpack.unpackb(bytes(pushed["blob"]))
            if isinstance(work, dict) and work.get("op") == "nothing":
                print("this is left undone", flush=True)
                continue
            if isinstance(work, dict) and work.get("op") == "leave":
                node.close()
                break
            reply = {
                "id": pushed["id"],
                "kinode_message_type": pushed["kinode_message_type"],
                "blob": msgpack.packb(result(work)),
            }
            node.send(msgpack.packb({"WebSocketExtPushData": reply}))
    except Closed as closed:
        print(f"closed with {closed.code}", flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main()
