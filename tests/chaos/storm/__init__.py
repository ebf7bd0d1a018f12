"""The storm: a whole farm under kills and faults, and afterwards a judge over three independent records.

Theory of operation
-------------------
``python -m tests.chaos.storm`` (``make chaos``) starts virtual phones in a process of their own (they are the world and
outlive everything), a farm that has them on its list, and a receiver of callbacks. Then, for some minutes,

* clients send seeded orders of all capabilities and routings, repeat them until they are answered, send some of them
  several times at once, hang up on some, and cancel some (``orders``, ``clients``);
* blows fall one after the other: kill -9 and SIGSTOP of every kind of process; each blow is timed until what it hit
  works again (``blows``);
* the weather goes on beside them: phones drop their connections, hang, die and come back, lock themselves, show
  popups; the database restarts or is locked by somebody else (``weather``).

When all orders have been sent the weather is taken back, and the farm gets time to end what it accepted. Then it is
shut down. What the clients wrote down, what the database says and what the phones themselves wrote down is handed to
``tests.chaos.checker``, which decides. A seed decides what is sent, what is hit and in which order; when exactly a
process dies depends on the machine, so a run can be repeated in kind, not to the letter.
"""
