"""What other services' webhooks say, as events: one module a source.

They know nothing of Flask, Celery or SQLAlchemy: they get a delivery and a secret, and tell its events.
"""
