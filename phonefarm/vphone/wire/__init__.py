"""The device side of the ADB protocol: packets, streams, the link, and the services that are opened over it."""
