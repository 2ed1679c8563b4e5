"""The composition root: the Flask app that gunicorn serves, and the Celery app that workers load."""

from app.factory import create_app

app = create_app()
celery = app.extensions["celery"]
