"""``coderm study``: what more tests, more samples and better strategies buy, on labelled samples."""
