"""``phonefarm maintain``: the same steps on many phones, carefully.

Theory of operation
-------------------
A campaign is a selection of phones, the steps they get, and how careful it is: canaries first, then waves, and an end
to it when too many phones fail. ``selection`` says which phones are meant, ``planner`` what to do next, ``campaign`` is
the value both work on; all three are pure. ``running`` is the shell that speaks HTTP to the farm, ``keep`` the place on
the disk where a campaign is found again, ``report`` what is told, ``command`` the command line. For ``ray job submit``
the same command is ``scripts/bulk_maintenance.py``.

It makes ordinary maintenance requests, one a phone, so it needs nothing of the farm that other callers do not have.
"""
