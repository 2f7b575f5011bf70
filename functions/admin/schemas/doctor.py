"""Request and response models of the doctor."""

from pydantic import BaseModel, Field


class DoctorFinding(BaseModel):
    """Result of one check."""

    check: str = Field(description="Name of the check.")
    verdict: str = Field(description="`well`, `warning`, `failed` or `skipped`.")
    detail: str = Field(description="What was found, and how to fix it.")


class DoctorReport(BaseModel):
    """Result of all checks."""

    healthy: bool = Field(description="Whether no check failed.")
    findings: list[DoctorFinding] = Field(description="The results.")
