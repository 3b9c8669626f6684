"""What do we ask of Label Studio's own API, and with which credentials?"""

from llm_backend.adapters.host.guest import Guest
from llm_backend.adapters.host.session import MOST_BYTES, Host, HostError
from llm_backend.adapters.host.web import REDIRECTS, TooLarge, exact, joined, megabytes, read_bounded

__all__ = [
    "MOST_BYTES",
    "REDIRECTS",
    "Guest",
    "Host",
    "HostError",
    "TooLarge",
    "exact",
    "joined",
    "megabytes",
    "read_bounded",
]
