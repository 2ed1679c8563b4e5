"""A local stand-in for Slack and for webhooks, to try Sentinel out without an account anywhere.

The receiver is a process of its own, so that one that is told to hang never occupies the API; the
page is part of the API. The two meet in the database.
"""
