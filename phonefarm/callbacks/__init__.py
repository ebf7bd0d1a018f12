"""Callbacks on their way out: signing, the address guard, one delivery over HTTP, the schedule of retries."""
