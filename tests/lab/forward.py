"""A program without a record, which passes connections on as rinetd, stunnel, sshd and pasta do.

``python forward.py PORT HOST:PORT [fork] [workers] [leaves] [tls CRT KEY] [in PID] [keep HOST:PORT]``: a process for
each connection; four of them that share the port, below one that does not; leaves a connection open when the other one
ends; ends TLS; connects from within the network of another process; keeps a connection of its own for each, and answers
404.
"""
import ctypes
import os
import signal
import socket
import ssl
import sys
import threading
from typing import List

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1


def word_after(word: str) -> str:
    return sys.argv[sys.argv.index(word) + 1] if word in sys.argv else ""


def pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        if "leaves" in sys.argv:
            return
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    one.close()


def connect(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    if word_after("in"):
        # A socket belongs to the network of the thread that made it.
        with open(f"/proc/{word_after('in')}/ns/net", encoding="ascii") as network:
            assert ctypes.CDLL(None).setns(network.fileno(), CLONE_NEWNET) == 0
    return socket.create_connection((host, int(port)))


def serve(connection: socket.socket) -> None:
    if "tls" in sys.argv:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(word_after("tls"), sys.argv[sys.argv.index("tls") + 2])
        connection = context.wrap_socket(connection, server_side=True)
    if "keep" in sys.argv:
        KEPT.append(connect(word_after("keep")))
        connection.recv(1000)
        connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")
        connection.close()
        return
    other = connect(sys.argv[2])
    threads = [threading.Thread(target=pump, args=pair) for pair in ((connection, other), (other, connection))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if "workers" in sys.argv and all(os.fork() for _ in range(4)):
        signal.pause()
    if "workers" in sys.argv:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    listener = socket.create_server(("0.0.0.0", int(sys.argv[1])), reuse_port="workers" in sys.argv)
    while True:
        connection = listener.accept()[0]
        if "fork" not in sys.argv:
            threading.Thread(target=serve, args=[connection], daemon=True).start()
        elif os.fork() == 0:
            listener.close()
            serve(connection)
            os._exit(0)
        else:
            connection.close()


KEPT: List[socket.socket] = []
if __name__ == "__main__":
    main()
