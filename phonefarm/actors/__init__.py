"""The actors: plain classes that run without Ray.

``hosted`` puts settings and gateway into them, ``spawn`` is the only ray.remote, ``gateway`` the only .remote().
"""
