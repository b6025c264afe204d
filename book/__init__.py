"""The book: how Sphinx reads chapters and writes pages that need no network."""
