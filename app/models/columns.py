"""Column types that many tables share."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import JSON, DateTime, Text, Uuid
from sqlalchemy.orm import mapped_column

Key = Annotated[UUID, mapped_column(Uuid, primary_key=True)]
Ref = Annotated[UUID, mapped_column(Uuid)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
String = Annotated[str, mapped_column(Text)]
# `json`, not `jsonb`: it keeps 1e308 a double and a long integer exact.
Document = Annotated[dict[str, Any], mapped_column(JSON)]
