"""The wire: what two processes of one program say to each other, on one machine or over a network.

    async def serve(link: Link) -> None:
        tensors = Tensors(link)
        while (channel := await link.accept()) is not None:
            async for item in channel:
                print(channel.name, tensors.opened(item).numpy().sum())

    listener = await listen(UnixAddress(path, Key.from_file(key_file)), serve)

    link = await connect(UnixAddress(path, Key.from_file(key_file)))      # another process
    out = await link.open("activations", deadline=0.5)
    await Tensors(link).send(out, Tensor.of(array))                       # through shared memory, if it is large
    out.end()
    await link.drain()

A `Link` is one side of a session. It lasts over connections: one that is cut is made again, and what was sent arrives
once and in order; `await out.send(…)` waits while the reader is behind. Everything that goes wrong is a `WireProblem`
with a name. On TCP, `TcpAddress(host, port, connecting(files))`, with `files` of yours or of an `Authority`.

`frames` and `framing` are the bytes, `session` decides and does no I/O, `ports` moves bytes, `link` is what tasks use,
`endpoints` begin it, `secure` and `tls` say who may speak, `tensors` and `segments` carry arrays. docs/wire.md is for
who writes a peer in another language.
"""

from .authority import Authority
from .endpoints import Address, Listener, TcpAddress, UnixAddress, connect, listen
from .events import Came
from .link import Incoming, Link, Outgoing
from .problems import WireProblem
from .secure import Key
from .settings import Settings
from .tensors import Reserved, Tensor, Tensors
from .tls import Files, accepting, connecting

__all__ = [
    "Address",
    "Authority",
    "Came",
    "Files",
    "Incoming",
    "Key",
    "Link",
    "Listener",
    "Outgoing",
    "Reserved",
    "Settings",
    "TcpAddress",
    "Tensor",
    "Tensors",
    "UnixAddress",
    "WireProblem",
    "accepting",
    "connect",
    "connecting",
    "listen",
]
