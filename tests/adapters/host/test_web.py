"""Addresses as a web server writes them."""

from llm_backend.adapters.host import exact


def test_the_spelling_of_a_signed_address_is_kept() -> None:
    text = "https://s3.example/b/k%2Fey.png?X-Amz-Credential=A%2F2026%2Fs3&X-Amz-Signature=ab%3D%3D"
    assert str(exact(text)) == text
    assert exact("http://[") is None
