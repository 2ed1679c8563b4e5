"""Objects without a life of their own: `create_app()` binds them to an application."""

from typing import ClassVar

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Session


class Base(DeclarativeBase):
    """What every model inherits."""

    # Rows are written by the table, which knows nothing of objects.
    __table__: ClassVar[Table]

    # Constraints with known names, so that a later migration can change them.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# What a commit wrote is still true after it, and answers are made from it.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()


def session() -> Session:
    """The session of the current request or task."""
    return db.session()
