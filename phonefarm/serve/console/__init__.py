"""The operator's console: pages for people, beside the API and over the same desk.

A page is a ``Page`` (``page``): where it is, the scope it needs, its handler. ``routes.PAGES`` is all of them. They
are no part of the API: OpenAPI does not show them, and nothing but a browser is meant to read them. What they show
comes from ``FarmPort`` and what they do goes through the same admission, intake and operations as a request of the
API, so there is no second truth.

* Signing in (``session``): whoever shows an API key gets a cookie that stands for it, never holds it, and ends when
  the key is revoked. On the API the cookie counts on routes that only read; what changes something is a form of these
  pages.
* Forms (``forms``): each needs the token of its session and must come from a page of this farm.
* Pages (``pages``): Jinja templates, everything escaped, an undefined name is an error. A strict policy lets a page
  load only what this farm serves, and no script or style that stands in a page.
* Liveness without a second rendering: an element with ``data-live`` is fetched again as part of its own page and
  swapped when it differs (``static/console.js``), from time to time or when a stream of events says that something
  happened. It costs nothing while the tab is hidden.

Every page works without script but for what is live. No page asks anything of another machine.
"""
