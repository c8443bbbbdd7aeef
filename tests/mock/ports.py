"""ports.py - ports of 127.0.0.1 that nobody else is given.

    hold = hold_port(); port = port_of(hold)        # a server may listen there now, end, and listen again
    hold.close()
"""
import socket


def hold_port(port=0):
    """A socket that has a port, and does not listen.  Until it is closed the kernel gives the port to nobody who asks for
    any; a server, which sets SO_REUSEADDR, may have it all the same.  While none does, connections are refused."""
    hold = socket.socket()
    hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hold.bind(("127.0.0.1", port))
    return hold


def port_of(hold):
    return hold.getsockname()[1]
