"""Delay what travels to a host, where the kernel has no netem: relay.py TAG VETH BRIDGE MILLISECONDS NAMESPACE

A tap device takes the veth's place on the bridge; frames are carried between the two by this process, those
to the host late. It ends with SIGKILL, the tap with it. "ready" is printed when frames flow.
"""

from __future__ import annotations

import collections
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM, ETHTOOL_SGSO = 0x17, 0x24
TUNSETIFF, IFF_TAP_NO_PI = 0x400454CA, 0x0002 | 0x1000
ETH_P_ALL = 3
LARGEST_FRAME = 65536
MOST_WAITING = 20_000


def whole_frames(namespace: str) -> None:
    """In a child: have the host itself do checksums and segments, which a raw socket would miss."""
    child = os.fork()
    if child == 0:
        with open(namespace, "rb") as file:
            if ctypes.CDLL(None).setns(file.fileno(), CLONE_NEWNET) != 0:
                os._exit(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for command in (ETHTOOL_STXCSUM, ETHTOOL_SGSO):
                value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                fcntl.ioctl(control, SIOCETHTOOL, struct.pack("16sP", b"eth0", ctypes.addressof(value)))
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("relay: the host's offloads can't be switched off")


def main() -> None:
    tag, veth, bridge, milliseconds, namespace = sys.argv[1:]
    delay = int(milliseconds) / 1000
    whole_frames(namespace)
    name = f"{veth}s"
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP_NO_PI))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind((veth, ETH_P_ALL))
    for change in (["dev", veth, "nomaster"], ["dev", veth, "promisc", "on"], ["dev", name, "master", bridge, "up"]):
        subprocess.run(["ip", "link", "set", *change], check=True)
    print("ready", flush=True)
    carry(tap, wire, delay)


def carry(tap: int, wire: socket.socket, delay: float) -> None:
    late: collections.deque[tuple[float, bytes]] = collections.deque()
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        sources: list[int | socket.socket] = [tap, wire]
        readable, _, _ = select.select(sources, [], [], wait)
        try:
            if tap in readable and len(late) < MOST_WAITING:
                late.append((time.monotonic() + delay, os.read(tap, LARGEST_FRAME)))
            if wire in readable:
                frame, address = wire.recvfrom(LARGEST_FRAME)
                if address[2] != socket.PACKET_OUTGOING:
                    os.write(tap, frame)
            while late and late[0][0] <= time.monotonic():
                wire.send(late.popleft()[1])
        except OSError:
            time.sleep(0.001)  # the cable is pulled, or a queue is full: frames get lost


main()
