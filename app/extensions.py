"""Objects without a life of their own: `create_app()` binds them to an application."""

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """What every model inherits."""


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
