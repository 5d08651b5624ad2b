"""Tests of the store, the queues and the votes, once more on a real PostgreSQL.

Each module takes over the tests of another one. What is about SQLite's own file is marked ``sqlite`` there, and left out here.
"""
