"""The built-in apps: one tree of nodes a screen feeds the XML dump, the hit test and the picture."""
