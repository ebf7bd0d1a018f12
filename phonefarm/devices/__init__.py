"""Phones over adb: server owner, tracker, driver, screens, app profiles and the executor of the action vocabulary.

Theory of operation
-------------------
Only this room imports adbutils: ``wire`` for its connections, ``adb_server`` for its binary; what stands on them
sees bytes and our own errors. Read in this order: ``shell`` (how a command line is made), ``wire`` (one connection,
one deadline), ``driver`` (one phone), ``screen`` (what it shows), ``profiles`` (what that means), ``handset`` (look
and touch), ``navigator`` (get somewhere), ``executor`` (do an action). This file imports nothing, so that pure
parts stay light.
"""
