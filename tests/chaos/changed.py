"""The composition root of a changed Sentinel: `wsgi`, then the changes that `CHAOS_CHANGES` names.

gunicorn and Celery load it in the place of `wsgi`, in real processes. Production code knows nothing of it.
"""

import os

from tests.chaos.changes import CHANGES
from wsgi import app, celery

__all__ = ["app", "celery"]

for change in os.environ["CHAOS_CHANGES"].split(","):
    CHANGES[change]()
