"""Request and response models of segments."""

from datetime import datetime

from pydantic import BaseModel, Field


class SegmentCategory(BaseModel):
    """A category that the members of a segment like."""

    id: int = Field(description="Id of the category.")
    name: str = Field(description="Name of the category.")
    share: float = Field(description="Mean share of the category in the members' taste, from 0 to 1.")


class SegmentProfile(BaseModel):
    """What the members of a segment have in common."""

    recency_days: float = Field(description="Median number of days since a member's last event.")
    purchase_days: float = Field(description="Mean number of days on which a member bought something.")
    spent: float = Field(description="Mean amount that a member spent.")
    buyers: float = Field(description="Share of the members who bought something, from 0 to 1.")
    categories: list[SegmentCategory] = Field(description="Up to 5 categories, the greatest share first.")


class SegmentValue(BaseModel):
    """What the members of a segment bought."""

    days: int = Field(description="Number of days before the run that are counted.")
    purchases: int = Field(description="Number of purchases that count; cancelled and refunded orders do not.")
    revenue: float = Field(description="Their sum, at the price of the order or, without an order, of the product.")


class SegmentMovement(BaseModel):
    """How the members of a segment changed since the run before."""

    joined: int = Field(description="Members who were not members before.")
    left: int = Field(description="Earlier members who no longer are.")


class Segment(BaseModel):
    """A group of users who behave alike."""

    id: int = Field(description="Id of the segment; it stays the same while most members stay.")
    name: str = Field(description="What sets the segment apart; it may change with its members.")
    size: int = Field(description="Number of members.")
    value: SegmentValue = Field(description="What the members bought.")
    movement: SegmentMovement = Field(description="Members who joined and left.")
    profile: SegmentProfile = Field(description="What the members have in common.")
    created_at: datetime = Field(description="When the segment was first found.")
    computed_at: datetime = Field(description="When the run that computed these figures took place.")
    ended_at: datetime | None = Field(description="When the segment ceased to exist; null for a current segment.")


class SegmentList(BaseModel):
    """The segments, the largest first, ended ones last."""

    segments: list[Segment] = Field(description="The segments; one that ended is listed for 90 days.")
