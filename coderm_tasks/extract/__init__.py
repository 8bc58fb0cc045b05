"""Model text to code and unit tests. Pure: nothing here runs, imports or writes what a model wrote."""

from coderm_tasks.extract.solutions import extract_solution
from coderm_tasks.extract.tests import Drop, Extraction, extract_tests, fingerprint

__all__ = ["Drop", "Extraction", "extract_solution", "extract_tests", "fingerprint"]
