"""``make bench``: what the farm costs, measured against peers and limits in the same run.

Theory of operation
-------------------
A figure (``values.Figure``) has contestants and goals. The harness (``harness``) lets the contestants of a figure take
turns, each once a round, in an order that turns round every other round, so that whatever else the machine does hits
all of them alike. A contestant's turn gives readings by name. A goal divides a reading of ours by one of somebody
else's (the best of several peers) and says how large or small that ratio must be; the verdict is of the medians over
the rounds, the spread is that of the ratios of single rounds. Everything that decides is pure (``stats``, ``values``,
``report``) and tested; the rest starts programs and reads clocks.

What several figures need (a PostgreSQL server, a farm, a peer) is made when it is first asked for and kept for the
next figure (``lab``). The figures are in ``figures``, one module each or for those that share a farm; the load
comes from one generator for all (``load``), a process of its own. The peers run from a virtual environment of their own
(``peers.txt``), which the harness makes.
"""
