"""Answers out of events: one query a table, in `.sql` files beside this one."""
