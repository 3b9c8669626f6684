"""A project's config and export, as they come from Label Studio."""

import asyncio
import io
from typing import Any

import pytest
from aiohttp import web

from llm_backend.adapters.host import MOST_BYTES, Host, HostError
from llm_backend.adapters.host.exporting import label_config, save_export
from tests.support.sites import redirect, site

EXPORT = "/api/projects/7/export"


def saved(page: Any) -> bytes:
    async def run() -> bytes:
        into = io.BytesIO()
        async with site({EXPORT: page}) as here:
            host = Host(here.origin)
            try:
                await save_export(host, 7, into)
            finally:
                await host.close()
        return into.getvalue()

    return asyncio.run(run())


def test_an_export_may_be_larger_than_any_other_answer() -> None:
    body = b"x" * (MOST_BYTES + 1)
    assert saved(body) == body


def test_an_export_that_breaks_off_is_none() -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"[")
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(HostError, match="cannot be reached"):
        saved(page)


def test_an_export_elsewhere_is_not_followed() -> None:
    with pytest.raises(HostError, match="elsewhere"):
        saved(redirect("http://127.0.0.1:9/export"))


def test_a_page_that_is_no_api_has_no_config() -> None:
    async def run() -> None:
        async with site({"/api/projects/7/": b"<html>"}) as here:
            host = Host(here.origin)
            try:
                await label_config(host, 7)
            finally:
                await host.close()

    with pytest.raises(HostError, match="tells no labeling config"):
        asyncio.run(run())
