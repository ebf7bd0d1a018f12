"""``phonefarm doctor``: facts are gathered, pure functions find what is wrong with them, a table says why and the cure.

Theory of operation
-------------------
Three layers that know nothing of each other's inside:

* facts (``facts``): frozen values of one machine, and of the farm as a whole;
* gathering (``gather``, ``usbtree``, ``sockets``, ``kernel``, ``look``; ``hosts`` for the machines of a Ray cluster):
  from /proc, /sys, files, HTTP and the database to facts, deciding nothing;
* checks (``phones``, ``machine``, ``farm``; their table in ``checks``): from facts to findings, looking at nothing.
  What a finding says stands in one table (``findings``), from which ``page`` writes docs/doctor.md.

So each finding is tested on values, whatever machine the tests run on, and gatherers on folders that look like /sys.
"""
