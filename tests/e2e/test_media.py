"""What is uploaded to Label Studio reaches the model in the form that it takes."""

from pathlib import Path

from llm_backend.core.wire import JSON
from tests.support.lab import Lab
from tests.support.pictures import PNG
from tests.support.recordings import film, pdf, sound
from tests.support.stub_model import Reply, answers, fails

CONFIG = """
<View>
  <Pdf name="contract" value="$contract"/>
  <Audio name="call" value="$call"/>
  <Video name="film" value="$film"/>
  <Image name="pages" valueList="$pages"/>
  <List name="drawings" value="$drawings"/>
  <Text name="mail" value="$mail" valueType="url"/>
  <TimeSeries name="pulse" value="$pulse" timeColumn="time"><Channel column="rate" units="bpm"/></TimeSeries>
  <Choices name="tone" toName="mail"><Choice value="Happy"/><Choice value="Unhappy"/></Choices>
</View>"""


def _no_files(request: JSON, n_th: int) -> Reply:
    """A model that reads no documents."""
    return fails(400, "Invalid value: 'file'.") if "file" in _kinds(request) else answers(request, n_th)


def _kinds(request: JSON) -> list[str]:
    content = request["messages"][-1]["content"]
    return [part["type"] for part in content if part["type"] != "text"]


def _data(lab: Lab, folder: Path) -> dict[str, JSON]:
    files = {
        "contract.pdf": pdf("The rent is 900 EUR."),
        "call.ogg": sound("ogg", "libopus"),
        "film.mp4": film(seconds=2.0),
        "page.png": PNG,
        "mail.txt": "Schöne Grüße".encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    # The host lets files be uploaded only where the config shows a single field.
    store = lab.api.create_project("files", '<View><Image name="i" value="$i"/></View>')
    contract, call, shown, page, mail = lab.api.upload(store, [folder / name for name in files])
    return {
        "contract": contract,
        "call": call,
        "film": shown,
        "pages": [page, page],
        "drawings": [{"id": "x", "html": f"<img src='{page}'>"}],
        "mail": mail,
        "pulse": "/samples/time-series.csv?time=time&values=rate",  # the host's own sample
    }


def test_uploaded_media_of_every_kind_reach_the_model(lab: Lab, tmp_path: Path) -> None:
    lab.stub.responder = _no_files
    project, _ = lab.project("media", CONFIG, [_data(lab, tmp_path)])
    before = lab.calls

    lab.api.retrieve_predictions(project)

    assert len(lab.api.predictions(project)) == 1
    first, second = lab.stub.bodies[before:]
    assert _kinds(first) == ["file", "input_audio", *["image_url"] * 15]
    assert _kinds(second) == _kinds(first)[1:]
    told = lab.asked_since(before)[1]
    for words in (
        "contract:\nThe rent is 900 EUR.",
        "film, frame at 0.00 s:",
        "pages, picture 2 of 2:",
        "drawings, item [x]:",
        "mail:\nSchöne Grüße",
        "time,rate (bpm)\n0,",
    ):
        assert words in told
