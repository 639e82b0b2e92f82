"""The client of the app `ws_server`: hears what it is told, answers, leaves."""

import sys

from websocket import connect


def main():
    server = connect(sys.argv[1])
    print(f"the server says {server.recv()}", flush=True)
    server.send("Hello from client")
    server.close()
    print("done", flush=True)


if __name__ == "__main__":
    main()
