"""Kinds of places that hear about alerts: one file a kind.

A channel gets a notice and a config and answers with a verdict. It knows nothing of Flask,
Celery or SQLAlchemy, and never retries: that lives elsewhere, once.
"""
