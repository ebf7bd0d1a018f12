"""What a host can open on a phone: shells, file transfer, the frame buffer and a few switches."""

from phonefarm.vphone.services.table import Device, service_for

__all__ = ["Device", "service_for"]
