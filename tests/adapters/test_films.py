"""What is to be seen and heard in a film or a recording?"""

import io
import sys

import pytest

from llm_backend.adapters import films
from llm_backend.errors import MediaError
from tests.support.pictures import PNG
from tests.support.recordings import film, sound, wav

av = pytest.importorskip("av", reason="the extra video is not installed")
Image = pytest.importorskip("PIL.Image", reason="the extra video is not installed")

KINDS = [("mp4", "libx264"), ("webm", "libvpx-vp9"), ("matroska", "mpeg4"), ("avi", "mpeg4"), ("mov", "mpeg4")]


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_frames_are_evenly_spread_and_know_their_time(container: str, codec: str) -> None:
    found = films.film(film(container, codec, seconds=6.0, rate=10), "It")
    assert found.seconds == pytest.approx(6.0, abs=0.2)
    assert found.rate == pytest.approx(10)
    times = [frame.seconds for frame in found.frames]
    assert times == pytest.approx([0.2 + 0.5 * number for number in range(films.MOST_FRAMES)], abs=0.11)
    for frame in found.frames:
        # The film grows from black to white, so that a picture's grey tells its time.
        grey = Image.open(io.BytesIO(frame.picture.content)).convert("L").getpixel((80, 48))
        assert grey == pytest.approx(255 * frame.seconds / 5.9, abs=8)


def test_a_film_of_few_frames_shows_each_once() -> None:
    assert [frame.seconds for frame in films.film(film(seconds=0.3), "It").frames] == pytest.approx([0.0, 0.1, 0.2])


def test_large_frames_are_scaled_down() -> None:
    first = films.film(film(seconds=0.2, size=(1280, 640)), "It").frames[0]
    assert Image.open(io.BytesIO(first.picture.content)).size == (768, 384)


def test_a_film_that_does_not_say_how_long_it_is_shows_frames_of_all_its_parts() -> None:
    found = films.film(film("webm", "libvpx-vp9", seconds=40.0, told=False), "It")
    assert found.seconds == 0
    times = [frame.seconds for frame in found.frames]
    assert len(times) in range(films.MOST_FRAMES // 2, films.MOST_FRAMES + 1)
    assert times[0] == 0
    assert times[-1] > 30
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(wav(), "wav", id="WAV"),
        pytest.param(wav(coding=3), "wav", id="WAV of floats"),
        pytest.param(wav(coding=0x55), "", id="WAV around another codec"),
        pytest.param(b"RIFF\0\0\0\0WAVE", "", id="WAV that says nothing"),
        pytest.param(b"ID3\x04", "mp3", id="MP3 with tags"),
        pytest.param(b"\xff\xfb\x90\x00", "mp3", id="MP3"),
        pytest.param(b"\xff\xf1\x50\x80", "", id="AAC"),
        pytest.param(PNG, "", id="picture"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_the_formats_that_models_hear_are_known_by_their_bytes(content: bytes, told: str) -> None:
    assert films.sound_format(content) == told


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("ogg", "libopus"),
        ("flac", "flac"),
        ("ipod", "aac"),
        ("webm", "libopus"),
        ("adts", "aac"),
        ("aiff", "pcm_s16be"),
    ],
)
def test_other_sounds_become_mp3_of_the_same_length(container: str, codec: str) -> None:
    content = films.as_mp3(sound(container, codec, 2.0), "It")
    assert films.sound_format(content) == "mp3"
    with av.open(io.BytesIO(content)) as box:
        assert box.duration / 1e6 == pytest.approx(2.0, abs=0.2)
        assert box.streams.audio[0].channels == 1


def test_a_film_is_heard_too() -> None:
    assert films.sound_format(films.as_mp3(film(tone=True), "It")) == "mp3"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "no video of a kind that is known", id="empty"),
        pytest.param(PNG, "no video of a kind that is known", id="picture"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no video of a kind that is known", id="play list"),
        pytest.param(b"ffconcat version 1.0\nfile /etc/passwd\n", "no video of a kind", id="list of files"),
        pytest.param(b"\0\0\0\x18ftypisom" + b"x" * 500, "damaged", id="nonsense"),
        pytest.param(wav(), "no pictures in it", id="sound"),
    ],
)
def test_what_is_no_film_is_told_in_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=words) as caught:
        films.film(content, "It")
    assert caught.value.sentence.startswith("It ")
    assert caught.value.lasting


def test_a_film_that_is_cut_off_is_shown_as_far_as_it_goes() -> None:
    whole = film("webm", "libvpx-vp9", seconds=4.0)
    assert films.film(whole[: len(whole) * 3 // 4], "It").frames


def test_a_film_of_which_nothing_is_left_is_told_of() -> None:
    with pytest.raises(MediaError, match=r"It (has no pictures in it|cannot be read)"):
        films.film(film()[:2000], "It")


def test_a_film_without_sound_is_told_in_a_sentence() -> None:
    with pytest.raises(MediaError, match="no sound in it"):
        films.as_mp3(film(), "It")


def test_work_on_a_film_ends() -> None:
    with pytest.raises(MediaError, match="give a shorter or smaller one"):
        films.film(film(), "It", patience=-1.0)
    with pytest.raises(MediaError, match="give a shorter or smaller one"):
        films.as_mp3(sound("flac", "flac"), "It", patience=-1.0)


@pytest.mark.parametrize("library", ["av", "PIL.Image"])
def test_without_the_extra_a_sentence_names_it(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for work in (films.film, films.as_mp3):
        with pytest.raises(MediaError, match=r'pip install "llm-backend\[video\]"') as caught:
            work(b"OggS\0\0", "It")
        assert not caught.value.lasting
