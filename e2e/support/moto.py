"""An independent emulator of services that Hearth does not have, in a process of its own: as many shards as are asked for,
and streams of tables. Says where it is, and ends with its standard input. Run by its path, with the account's number."""

import logging
import os
import sys


def main():
    os.environ["MOTO_ACCOUNT_ID"] = sys.argv[1]
    # Reads the variable when it is imported; its own name is this file's otherwise.
    sys.path.pop(0)
    from moto.server import ThreadedMotoServer

    # A line for each request, otherwise.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
