"""Request and response models of dead letters."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.domain.events import Text
from shared.http import Query
from shared.manifest import manifest


def topic_name(name: str) -> str:
    """Return the name of a topic of functions.yaml; raise ValueError for any other."""
    if name not in manifest().topics:
        raise ValueError(f"there is no topic {name[:100]!r}; topics: {', '.join(manifest().topics)}")
    return name


Topic = Annotated[str, AfterValidator(topic_name), Field(description="Name of a topic of functions.yaml.")]


class DeadLetterQuery(Query):
    """Which dead letters to list."""

    topic: Topic | None = Field(None, description="Only dead letters of this topic of functions.yaml.")
    limit: Annotated[int, Field(ge=1, le=100, description="Maximum number of dead letters of each topic.")] = 50


class DeadLetter(BaseModel):
    """A message that a subscriber failed to process in every attempt."""

    topic: str = Field(description="Topic of the message.")
    message_id: str = Field(description="Id of the message.")
    subscription: str | None = Field(description="The subscription that gave up; null if unknown.")
    attempts: int | None = Field(description="Number of attempts; null if unknown.")
    published_at: str = Field(description="When the message was published.")
    replayed_at: str | None = Field(
        description="When the message was last published again, by the job `replay_dead_letters` or an administrator; "
        "null if it never was. The job replays a message once."
    )
    permanent_fault: str | None = Field(
        description="Why no function can read the message; null if one may. The job does not replay such a message."
    )
    attributes: dict[str, str] = Field(description="Attributes of the message.")
    data: str = Field(description="Body of the message as text, as base64 if it is not UTF-8.")


class DeadLetterList(BaseModel):
    """Waiting dead letters."""

    dead_letters: list[DeadLetter] = Field(description="The dead letters.")


class ReplayRequest(BaseModel):
    """Which dead letters of a topic to publish again."""

    model_config = ConfigDict(extra="forbid")

    topic: Topic
    limit: int = Field(100, ge=1, le=1000, description="Maximum number of dead letters to look at.")
    message_ids: list[Text] | None = Field(
        None, min_length=1, max_length=1000, description="Ids of the messages. If omitted, all up to `limit`."
    )


class ReplayResult(BaseModel):
    """Result of a replay."""

    topic: str = Field(description="The topic.")
    replayed: list[str] = Field(description="Ids of the messages that were published again.")
    left: int = Field(description="Number of dead letters that were seen and left waiting.")
