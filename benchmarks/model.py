"""What would a model's server answer, at next to no cost?

    python -m benchmarks.model --port 9999 --latency 0.5

It shares the machine's cores with those who are measured, as no provider does: what it takes, they lack. So an answer
is made once for each form that is asked for, by `tests.support.stub_model`, and given to all who ask for it; and of
HTTP there is only what our own clients speak.
"""

import argparse
import asyncio
import json

from tests.support.stub_model import Bucket, Reply, Responder, answers, uneven

_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = b"content-length:"
_FORM = b'"response_format"'  # the last part of a question; the task's own words come before it


class Remembered:
    """A responder that is handed bodies as they come, and makes an answer for each form once."""

    def __init__(self) -> None:
        self._replies: dict[bytes, Reply] = {}

    def __call__(self, body: bytes, n_th: int) -> Reply:
        form = body[body.find(_FORM) :]
        reply = self._replies.get(form)
        if reply is None:
            made = answers(json.loads(body), n_th)
            reply = Reply(made.status, json.dumps(made.body).encode(), made.headers)
            self._replies[form] = reply
        return reply


class Model:
    """A server's answers, and what it was asked last."""

    def __init__(self, responder: Responder, latency: float) -> None:
        self.latency = latency
        self._responder = responder
        self._count = 0
        self._last = b"{}"

    def answer(self, body: bytes) -> tuple[bytes, float]:
        """What goes back over the wire, and after how many seconds."""
        self._last = body
        reply = self._responder(body, self._count)
        self._count += 1
        held = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        return _written(reply.status, held, **reply.headers), self.latency + reply.delay

    def shown(self, path: str) -> bytes:
        """What whoever measures asks: `/asked` is the last question, all else how many were taken and refused."""
        if path == "/asked":
            return _written(200, b'[{"json": ' + self._last + b"}]")
        limited = self._responder if isinstance(self._responder, Bucket) else None
        seen = {"taken": limited.taken, "refused": limited.refused} if limited else {}
        return _written(200, json.dumps(seen).encode())


class _Connection(asyncio.Protocol):
    def __init__(self, model: Model) -> None:
        self._model = model
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (ends := self._held.find(_HEAD_ENDS)) >= 0:
            head, begins = self._held[:ends].lower(), ends + len(_HEAD_ENDS)
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._held) < begins + length:
                return
            body, self._held = self._held[begins : begins + length], self._held[begins + length :]
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get "):
            self._transport.write(self._model.shown(head.split(b" ", 2)[1].decode()))
            return
        answer, seconds = self._model.answer(body)
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _written(status: int, body: bytes, **headers: str) -> bytes:
    told = {**headers, "content-type": "application/json; charset=utf-8", "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode() + body


async def _serve(model: Model, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(model), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every reply")
    parser.add_argument("--sigma", type=float, default=0.0, help="let the latency be lognormal, with this sigma")
    parser.add_argument("--per-second", type=float, help="turn away what is more than so many requests a second")
    parser.add_argument("--burst", type=int, default=10, help="so many of them may come at once")
    options = parser.parse_args()
    then: Responder = Remembered()
    if options.sigma:
        then = uneven(options.latency, options.sigma, then)
    if options.per_second is not None:
        then = Bucket(options.per_second, options.burst, then=then, whole_seconds=True)
    asyncio.run(_serve(Model(then, 0.0 if options.sigma else options.latency), options.port))


if __name__ == "__main__":
    main()
