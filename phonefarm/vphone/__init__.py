"""A virtual Android phone that speaks the real ADB wire.

Theory of operation
-------------------
A phone is a few rooms:

* ``wire``    the device side of the ADB protocol; any adb server, or a host library that dials phones, may connect;
* ``services`` what a host opens over the wire: shells, ``sync:``, the frame buffer and a few switches;
* ``shell``   a POSIX-subset shell with streaming pipes;
* ``android`` the state of one phone and one function per command (``getprop``, ``input``, ``dumpsys`` ...);
* ``apps``    the screens: one tree of nodes feeds the XML dump, the hit test and the picture;
* ``fs``      an in-memory file system that the shell and the sync service share.

``phone`` puts them together, ``host`` runs many of them in one process, ``control`` lets tests break them.
Nothing here imports the rest of phonefarm: what is tested against a virtual phone is tested over the same bytes that a
real phone would see. Only the standard library is imported until the first screenshot is asked for.
"""

from phonefarm.vphone.apps.content import Video, catalogue
from phonefarm.vphone.host import HostConfig, VPhoneHost, serve_phones
from phonefarm.vphone.phone import PhoneConfig, VPhone

__all__ = ["HostConfig", "PhoneConfig", "VPhone", "VPhoneHost", "Video", "catalogue", "serve_phones"]
