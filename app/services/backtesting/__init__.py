"""Backtests: rules over stored events, through the evaluator and the machines that run live. Nothing is sent.

**The past** (`past`) is read in pages and put into the order of event time. **A trial** (`trial`) feeds it to rules and
their memory, lets times come as live does, and hands what becomes of it to **tallies** (`tally`), which count all and
list some. **Differences** (`differences`) hold two sides against each other: two rules, or a rule and the record.
"""
