"""What may be fetched of what a task shows, and how is it brought in?

A task names its media: inside itself (`data:`), on the public internet, in Label Studio (`/data/upload/...`), or in
a storage that only Label Studio can open (`s3://...`). Task data is untrusted, so every address passes `addresses`,
every redirect is looked at anew, and size and time are bounded. The operator's key goes to Label Studio's own media
paths and nowhere else. Sentences name host and path, never a query: signatures stand there. What was fetched is
`showing`'s to show.
"""

from llm_backend.adapters.media.media import Media
from llm_backend.adapters.media.texts import Texts
from llm_backend.adapters.media.web import Bounds

__all__ = ["Bounds", "Media", "Texts"]
