"""Words: the bodies of the API (pydantic, in ``requests``) and the frozen values the rooms hand each other."""
