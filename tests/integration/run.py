#!/usr/bin/python3
"""Runs the integration tests; ./test calls it. -k PATTERN selects, --counts FILE gets the sums."""

import argparse
import os
import signal
import sys
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, TESTS)

from integration import frame  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", dest="pattern", help="tests whose name contains it")
    parser.add_argument("--counts", help="file for 'PASSED FAILED SKIPPED'")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)

    loader = unittest.TestLoader()
    if arguments.pattern:
        loader.testNamePatterns = [f"*{arguments.pattern}*"]
    suite = loader.discover(os.path.join(TESTS, "integration"), top_level_dir=TESTS)
    try:
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    finally:
        frame.close()
    # A test with several bad subtests is one; an error outside any test has an entry of its own.
    bad = len({getattr(test, "test_case", test).id()
               for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    passed = max(result.testsRun - bad - skipped, 0)
    if arguments.counts:
        with open(arguments.counts, "w", encoding="ascii") as file:
            file.write(f"{passed} {bad} {skipped}\n")
    return 0 if bad == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
