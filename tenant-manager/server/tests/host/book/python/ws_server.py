"""The server outside that the app `ws_client` connects to.

Says its port, takes one client after another: greets it, prints what it says,
says it again in capitals, and closes at "farewell". Bytes go back as they came.
"""

import socket

from websocket import Closed, accept


def say(text):
    print(text, flush=True)


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say(f"listening on {listener.getsockname()[1]}")
        while True:
            client = accept(listener)
            client.send("ack client connection")
            try:
                while True:
                    message = client.recv()
                    if isinstance(message, bytes):
                        client.send(message)
                        continue
                    say(f"the client says {message}")
                    if message == "farewell":
                        client.close()
                        break
                    client.send(message.upper())
            except Closed:
                pass
            say("the client is gone")


if __name__ == "__main__":
    main()
