"""The database: tables, named statements, one writer. The only room that knows SQLAlchemy.

Every change runs inside a transaction of ``writer.Writer``, which checks the epoch first. Modules are named
after what happens: ``accept``, ``claim``, ``progress``, ``cancel``, ``rescue``, ``outbox``, ``roster`` change;
``views`` and ``snapshot`` only read.
"""
