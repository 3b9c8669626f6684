"""A Label Studio that only /setup told of: at which addresses it is asked, and with which token."""

import asyncio

import pytest

from llm_backend.adapters.host import Guest, HostError
from tests.support.sites import Names, site, status

LEGACY = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "http://10.0.0.8", "http://[::1]:8080", "http://169.254.169.254", "http://2130706433"],
)
def test_a_hostname_of_setup_at_a_private_address_is_not_asked(url: str) -> None:
    with pytest.raises(HostError, match="Set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY") as caught:
        Guest(url, LEGACY)
    assert caught.value.lasting


@pytest.mark.parametrize("url", ["", "studio", "ftp://studio.example", "/x", "http://", "http://["])
def test_a_hostname_of_setup_that_is_none_is_told(url: str) -> None:
    with pytest.raises(HostError, match="no hostname at which Label Studio could be asked"):
        Guest(url, LEGACY)


def test_a_hostname_of_setup_that_leads_to_a_private_address_is_not_asked() -> None:
    async def run() -> None:
        async with site({"/x": b"x"}) as here:
            guest = Guest(f"http://studio.example:{here.port}", LEGACY, lookup=Names(["127.0.0.1"]))
            with pytest.raises(HostError, match=r'"studio.example" leads to a loopback address') as caught:
                await guest.get("/x")
            assert caught.value.lasting
            assert here.asked == []
            await guest.close()

    asyncio.run(run())


def test_a_hostname_of_setup_that_the_operator_allows_is_asked_with_its_own_token_alone() -> None:
    async def run() -> None:
        async with site({"/x": b"x"}) as here:
            allowed = [f"studio.example:{here.port}"]
            url = f"http://user:secret@studio.example:{here.port}/?a=b"
            guest = Guest(url, LEGACY, allowed, Names(["127.0.0.1"]))
            assert await guest.get("/x") == b"x"
            assert here.authorizations == [f"Token {LEGACY}"]
            await guest.close()

    asyncio.run(run())


def test_a_token_of_setup_that_is_refused_is_told_by_its_name() -> None:
    async def run() -> None:
        async with site({"/x": status(401)}) as here:
            guest = Guest(here.origin, LEGACY, ["127.0.0.1"])
            with pytest.raises(HostError, match=r"/setup's access token .* legacy tokens are switched off") as caught:
                await guest.get("/x")
            assert caught.value.answered == 401
            assert LEGACY not in caught.value.sentence
            await guest.close()

    asyncio.run(run())
