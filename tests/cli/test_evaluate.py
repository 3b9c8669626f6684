"""How is agreement measured from a shell?"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from llm_backend.cli import main
from llm_backend.core.scores import Calibration
from tests.support.exports import CONFIG, annotation, prediction, said, task
from tests.support.sites import Site, site

JSON = Any
TOKEN = "0123456789abcdef0123456789abcdef01234567"


def tasks(count: int = 80) -> list[JSON]:
    """Two people agree, and the model says their word on three tasks of four, always rather sure."""
    made = []
    for n in range(1, count + 1):
        word, other = ("good", "bad") if n % 2 else ("bad", "good")
        people = [annotation(said(word), by=by) for by in (1, 2)]
        made.append(task(n, people, [prediction(said(word if n % 4 else other), score=0.9, ident=n)]))
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an export and its labeling config."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text(CONFIG)
    (tmp_path / "export.json").write_text(json.dumps(tasks()))
    return tmp_path


def say(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["evaluate", *words], env=environ, prog_name="llm-backend")


def test_an_export_is_measured_and_told_in_words_json_and_a_page(folder: Path) -> None:
    shown = say("export.json", "--config", "config.xml", "--json", "r.json", "--html", "r.html", "--url", "http://ls")
    assert shown.exit_code == 0, shown.output
    for words in ("tone (labels), m-1, 2 people", "0.75 [0.65, 0.83]", "They differ on 20 tasks", "ECE"):
        assert words in shown.stdout
    told = json.loads((folder / "r.json").read_text())
    assert told["comparisons"][0]["all"]["accuracy"]["value"] == 0.75
    page = (folder / "r.html").read_text()
    assert 'href="http://ls/projects/7/data?task=4"' in page
    assert "<svg" in page


def test_places_and_what_hangs_on_them_are_told_in_words(folder: Path) -> None:
    (folder / "config.xml").write_text(
        """<View><Image name="page" value="$page"/>
        <RectangleLabels name="box" toName="page"><Label value="Cat"/></RectangleLabels>
        <Choices name="mood" toName="page" perRegion="true"><Choice value="calm"/><Choice value="cross"/></Choices>
        </View>"""
    )

    def box(x: float, mood: str) -> list[JSON]:
        place = {"x": x, "y": 0, "width": 20, "height": 20}
        shape = said({**place, "rectanglelabels": ["Cat"]}, "box", "rectanglelabels", to="page", id=f"{x}")
        return [shape, said({**place, "choices": [mood]}, "mood", to="page", id=f"{x}")]

    people, model = [*box(0, "calm"), *box(50, "calm")], [*box(5, "cross"), *box(80, "calm")]
    rows = [task(n, [annotation(*people)], [prediction(*model)], page="http://example.org/a.png") for n in (1, 2)]
    (folder / "export.json").write_text(json.dumps(rows))
    shown = say("export.json", "--config", "config.xml")
    assert shown.exit_code == 0, shown.output
    for words in (
        "box (shapes), m-1, 1 person",
        "│ mean IoU of these   │ 0.60 [0.60, 0.60] │",
        "Places: people marked 4, the model 4, 2 are the same.",
        "people Cat, model (nothing there): 2",
        "│ regions              │ 2 ",
        "Not compared, for they have no match: regions of people 2, of the model 2.",
        "They differ on 2 regions: 1, Cat 5-25 x 0-20; 2, Cat 5-25 x 0-20",
    ):
        assert words in shown.stdout


def test_the_calibration_is_written_as_scores_are_read_with_it(folder: Path) -> None:
    shown = say("export.json", "--config", "config.xml", "--calibration", "c.json")
    assert shown.exit_code == 0, shown.output
    calibration = Calibration.from_json(json.loads((folder / "c.json").read_text()))
    assert calibration.count == 80
    assert calibration(0.9) == pytest.approx(0.75, abs=0.03)


def test_too_few_scores_make_no_calibration(folder: Path) -> None:
    (folder / "export.json").write_text(json.dumps(tasks(20)))
    shown = say("export.json", "--config", "config.xml", "--calibration", "c.json")
    assert shown.exit_code == 1
    assert "20 answers with a score" in shown.output
    assert not (folder / "c.json").exists()


def test_an_export_of_ids_is_refused_with_the_way_to_export(folder: Path) -> None:
    (folder / "export.json").write_text(json.dumps([{**one, "predictions": [1]} for one in tasks(3)]))
    shown = say("export.json", "--config", "config.xml")
    assert shown.exit_code == 1
    assert "3 predictions by their ids only" in shown.output
    assert '{"serialization_options": {"predictions": {"only_id": false}}}' in shown.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "EXPORT.json, or --project"),
        (["export.json"], "--config CONFIG.xml, or --project"),
        (["--project", "7"], "--url, or LABEL_STUDIO_URL"),
        (["export.json", "--config", "config.xml", "--save"], "which server is to go by it"),
        (["export.json", "--config", "config.xml", "--url", "studio:80"], 'LABEL_STUDIO_URL="studio:80": give a URL'),
        (["export.json", "--config", "config.xml", "--json", "nowhere/r.json"], "nowhere/r.json cannot be written"),
    ],
    ids=[
        "nothing",
        "no config",
        "no address",
        "no server",
        "an address without its scheme",
        "a folder that is not there",
    ],
)
def test_slips_are_told_in_a_sentence(folder: Path, words: Sequence[str], told: str) -> None:
    shown = say(*words)
    assert shown.exit_code in (1, 2)
    assert told in shown.output


def test_a_project_is_read_from_label_studio_page_by_page(folder: Path) -> None:
    made = tasks(120)

    async def project(request: web.Request) -> web.Response:
        return web.json_response({"id": 7, "label_config": CONFIG})

    async def page(request: web.Request) -> web.Response:
        query = request.query
        assert (query["project"], query["fields"], query["review"]) == ("7", "all", "true")
        size, number = int(query["page_size"]), int(query["page"])
        return web.json_response({"tasks": made[size * (number - 1) : size * number], "total": len(made)})

    with studio({"/api/projects/7/": project, "/api/tasks": page}) as here:
        shown = say("--project", "7", "--url", here.origin, LABEL_STUDIO_API_KEY=TOKEN)
        assert shown.exit_code == 0, shown.output
        assert "120 tasks, 120 annotated" in shown.stdout
        assert set(here.authorizations) == {f"Token {TOKEN}"}
        assert len(here.asked) == 4


def test_answers_that_a_server_keeps_back_are_measured_apart(folder: Path) -> None:
    made = tasks(300)
    for one in made[::2]:
        one["predictions"] = []
    (folder / "export.json").write_text(json.dumps(made))
    bodies = []

    async def projects(request: web.Request) -> web.Response:
        return web.json_response({"projects": [{"key": "7.1795227420"}, {"key": "8.1795227420"}]})

    async def kept(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        told = {**prediction(said("good")), "model_version": "m-1"}
        answers = [{"prediction": told, "blind": one["id"] % 2 == 1} for one in bodies[-1]["tasks"]]
        return web.json_response({"version": "m-1", "answers": answers})

    with studio({"/projects": projects, "/projects/7.1795227420/kept": kept}) as here:
        shown = say("export.json", "--config", "config.xml", "--server", here.origin, "--json", "r.json")
    assert shown.exit_code == 0, shown.output
    (one,) = json.loads((folder / "r.json").read_text())["comparisons"]
    assert (one["blind"]["tasks"], one["shown"]["tasks"]) == (150, 150)
    assert [len(body["tasks"]) for body in bodies] == [200, 100]
    assert bodies[0]["tasks"][0] == {"id": 1, "data": {"text": "Text number 1."}}


def test_the_calibration_is_saved_on_the_server_only_when_that_is_asked_for(folder: Path) -> None:
    saved = []

    async def projects(request: web.Request) -> web.Response:
        return web.json_response({"projects": [{"key": "7.1795227420"}, {"key": "8.1795227420"}]})

    async def kept(request: web.Request) -> web.Response:
        asked = (await request.json())["tasks"]
        return web.json_response({"version": "m-1", "answers": [{"prediction": None, "blind": False}] * len(asked)})

    async def calibration(request: web.Request) -> web.Response:
        saved.append(await request.json())
        return web.json_response({"calibration": saved[-1]})

    here_are = {f"/projects/7.1795227420/{name}": door for name, door in (("kept", kept), ("calibration", calibration))}
    with studio({"/projects": projects, **here_are}) as here:
        words = ("export.json", "--config", "config.xml", "--server", here.origin)
        assert say(*words).exit_code == 0
        assert saved == []
        shown = say(*words, "--save")
        assert shown.exit_code == 0, shown.output
        assert "Saved: scores of project 7.1795227420 are made probabilities by it" in shown.output
        (folder / "export.json").write_text(json.dumps(tasks(20)))
        refused = say(*words, "--save")
        assert (refused.exit_code, "too few for a calibration" in refused.output) == (1, True)
    (table,) = saved
    assert Calibration.from_json(table)(0.9) == pytest.approx(0.75, abs=0.03)


def test_a_project_that_is_not_there_is_told(folder: Path) -> None:
    with studio({}) as here:
        shown = say("--project", "7", "--url", here.origin, LABEL_STUDIO_API_KEY=TOKEN)
    assert shown.exit_code == 1
    assert "Label Studio has nothing at /api/projects/7/." in shown.output


@pytest.mark.parametrize("missing", ["sklearn", "shapely"])
def test_without_the_extra_a_sentence_names_it(folder: Path, missing: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules['{missing}'] = None\n"  # as if it were not installed
        "from llm_backend.cli import main\n"
        "main(['evaluate', 'export.json', '--config', 'config.xml'])"
    )
    place = str(Path(__file__).parents[2])
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": place})
    assert shown.returncode == 1
    assert shown.stderr.strip() == (
        'Error: Measuring agreement needs the extra "evaluate", which is not installed: '
        'pip install "llm-backend[evaluate]".'
    )


def test_the_other_commands_do_not_load_what_the_extra_brings() -> None:
    look = (
        "import sys, llm_backend.cli\n"
        "print(sorted({'numpy', 'scipy', 'sklearn', 'krippendorff', 'shapely'} & set(sys.modules)))"
    )
    place = str(Path(__file__).parents[2])
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, env={"PYTHONPATH": place})
    assert shown.stdout.strip() == "[]"


@contextmanager
def studio(pages: dict[str, Callable[[web.Request], Any]]) -> Iterator[Site]:
    """A Label Studio that answers these paths, on a thread of its own: the command has its own loop."""
    opened: Future[Site] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with site(pages) as here:
            opened.set_result(here)
            await stop.wait()

    thread = Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield opened.result(timeout=30)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
