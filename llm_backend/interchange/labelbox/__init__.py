"""How do rows of Labelbox become tasks, and how do their annotations go back?

In: `rows` reads a line of an import file or an export, `places` brings its content, which `documents` and `tree` read
(a `conversation`, with `media`); `ontology` reads the questions, which `config` writes for Label Studio; `prelabels`
finds the lines of labels, `answers` reads them, and `marks` makes regions of them; `tasks` puts it all together, and
`incoming` goes through a whole file. Back: `back`. New rows, of answers that were asked for: `generating`.
"""

from llm_backend.interchange.labelbox.back import Lines, row_of
from llm_backend.interchange.labelbox.incoming import Incoming
from llm_backend.interchange.labelbox.ontology import Ontology, read_ontology
from llm_backend.interchange.labelbox.places import Fetch, Places
from llm_backend.interchange.labelbox.prelabels import Prelabels

__all__ = ["Fetch", "Incoming", "Lines", "Ontology", "Places", "Prelabels", "read_ontology", "row_of"]
