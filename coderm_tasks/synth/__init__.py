"""Training data for a test generator: questions with reference code in, unit tests that can be trusted out.

The way of CodeRM's own training set (arXiv 2501.01054, section 3.2): filter the questions, sample tests, label them by
running the reference, repair what fails from the interpreter's words, drop what accepts a weaker model's wrong code.
"""
