"""A Redis that is not there at the start, or leaves later: what does a person read, and does the work go on?"""

from pathlib import Path

from llm_backend.core.notices import NOTICE_PREFIX
from tests.support import shell
from tests.support.redis_server import RedisServer, free_port, own_redis
from tests.support.serve import Server
from tests.support.serving import CONFIG, PROJECT, listening, serving, task, typed
from tests.support.stub_model import StubModel
from tests.support.worker import worker

__all__ = ["own_redis"]


def test_a_server_without_its_redis_does_not_start_and_says_where_it_looked(tmp_path: Path) -> None:
    place = f"127.0.0.1:{free_port()}"
    with StubModel() as stub:
        server = Server(stub, tmp_path, REDIS_URL=f"redis://ann:hunter2@{place}/0")
        assert server.launch().wait(30) == 2
    (told,) = server.log.read_text().strip().splitlines()
    assert told.startswith(f"Error: REDIS_URL: Redis at redis://{place}/0 cannot be reached")
    assert "hunter2" not in told


def test_while_redis_is_away_every_door_says_so_and_the_work_goes_on_when_it_is_back(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    def refused(method: str, path: str) -> str:
        body = {"project": PROJECT, "schema": CONFIG} if method == "POST" else None
        response = host.http.open(path, method=method, json=body)
        assert response.status_code == 503
        told: str = response.get_json()["error"]
        assert response.status == f"503 {told}"
        return told

    tasks = [task(number, f"text {number}") for number in range(20)]
    with StubModel() as stub:
        told = {"REDIS_URL": own_redis.url, "OPENAI_BASE_URL": stub.base_url, "OPENAI_API_KEY": "test-key"}
        settings = {"redis_url": own_redis.url, "base_url": stub.base_url, "batch_deadline": 30.0}
        with worker(tmp_path, **told), serving(None, tmp_path, **settings) as host:
            host.setup()
            assert all(host.batch(*tasks[:10]))
            own_redis.stop()
            cannot = f"Redis at {own_redis.url} cannot be reached"
            assert host.http.get("/health").get_json()["status"] == "UP"
            assert refused("POST", "/setup").startswith(cannot)
            assert refused("GET", "/jobs").startswith(cannot)
            assert refused("GET", "/projects").startswith(cannot)
            assert refused("GET", "/status").startswith("Redis at ")
            with listening(host) as port:
                said = shell.invoke("jobs", f"--port={port}")
            assert (said.exit_code, said.stderr.startswith(f"Error: {cannot}")) == (1, True)
            assert host.batch(*tasks) == [[]] * len(tasks)
            (region,) = host.shift_enter(typed("Go"))
            assert region["value"]["text"][0].startswith(NOTICE_PREFIX + cannot)
            own_redis.start()
            assert all(host.batch(*tasks))
            assert len(stub.asked) == len(tasks)
