"""Request and response models of synonyms."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.domain.events import printable
from shared.domain.text import nfc

Term = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(printable), nfc(100)
]


class SynonymWrite(BaseModel):
    """A synonym to create."""

    model_config = ConfigDict(extra="forbid")

    term: Term = Field(description="One to five words that shoppers search for.")
    meant: Term = Field(description="Words that are searched for as well.")
    two_way: bool = Field(True, strict=True, description="Whether a search for `meant` also finds `term`.")


class Synonym(SynonymWrite):
    """A stored synonym."""

    id: int = Field(description="Id of the synonym.")
    created_at: datetime = Field(description="When it was created.")


class SynonymList(BaseModel):
    """All synonyms, by term."""

    synonyms: list[Synonym] = Field(description="The synonyms.")
