"""What all answers share."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

T = TypeVar("T")

Name = Annotated[str, Field(min_length=1, max_length=200)]

Text = Annotated[str, Field(max_length=4000)]

Moment = AwareDatetime


class View(BaseModel):
    """Immutable; unknown members of a request are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(View, Generic[T]):
    """One page of a list. `next` goes into the query parameter `after`; empty on the last page."""

    items: list[T]
    next: str = ""
