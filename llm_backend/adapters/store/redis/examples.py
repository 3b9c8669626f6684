"""What do we remember of what people made of tasks, in a Redis that many processes share?"""

import json
import uuid
from collections.abc import Iterable, Sequence

from llm_backend.adapters.store import Learned
from llm_backend.adapters.store.redis.server import RedisServer, at, short, slices
from llm_backend.core.examples import Correction

_AT_ONCE = 200
_KINDS = ("corrections", "corrected", "published", "learned")


class RedisExamples(RedisServer):
    """The `Examples` part of the shared home.

    Attributes:
        corrections_most: How many corrections are remembered of each project.
    """

    corrections_most: int

    def learn(self, key: str, corrections: Sequence[Correction]) -> Learned:
        for some in slices(corrections, _AT_ONCE):
            told = [part for one in some for part in (one.annotation, json.dumps(one.to_json()))]
            news = sum(not one.accepted for one in some)
            self._script("learn", short(key), self.corrections_most, news, *told)
        return self.learned(key)

    def unlearn(self, key: str, annotations: Iterable[str]) -> None:
        for some in slices(annotations, _AT_ONCE):
            self._script("unlearn", short(key), *some)

    def learned(self, key: str) -> Learned:
        name = short(key)
        (changes, publication, since), count = self._do_all(
            [("HMGET", at("learned", name), "changes", "publication", "since"), ("HLEN", at("corrections", name))]
        )
        if changes is None:
            return Learned()
        return Learned(f"{changes} {publication or ''}", count, publication or "", int(since or 0))

    def corrections(self, key: str, *, published: bool = False) -> tuple[Correction, ...]:
        name = short(key)
        order, held, chosen = self._do_all(
            [
                ("ZRANGE", at("corrected", name), 0, -1),
                ("HGETALL", at("corrections", name)),
                ("SMEMBERS", at("published", name)),
            ],
            as_one=True,
        )
        told = (held[one] for one in order if one in held and (not published or one in chosen))
        return tuple(Correction.from_json(json.loads(one)) for one in told)

    def publish(self, key: str) -> Learned:
        self._script("publish", short(key), uuid.uuid4().hex[:12])
        return self.learned(key)

    def _forget_examples(self, name: str) -> None:
        self._do("UNLINK", *(at(kind, name) for kind in _KINDS))
