"""The actors: plain classes that run without Ray. ``spawn`` is the only ray.remote, ``gateway`` the only .remote()."""
