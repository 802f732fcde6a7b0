"""What tests in a browser share: one Chromium for a class of tests, a folder of theirs, the command line."""
import argparse
import pathlib
import sys
import tempfile
import unittest

import chromium

SKIPPED = 77
options = None  # --bin-dir and --screenshots, once main has read them


class BrowserTest(unittest.TestCase):
    """Each test opens its page anew, in the one browser."""
    HEIGHT = 760

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="regatta-e2e-")
        cls.browser = chromium.Browser(chromium.find())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.folder.cleanup()

    def setUp(self):
        self.browser.complaints.clear()
        self.browser.look(1180, self.HEIGHT)


def main(what):
    """Runs the tests of the calling program; its exit code. Without a browser `what` is not tried, and that is said."""
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--screenshots", type=pathlib.Path, required=True)
    options, rest = parser.parse_known_args()
    options.bin_dir = options.bin_dir.resolve()
    if chromium.find() is None:
        print(f"SKIPPED: no Chromium on this machine, {what} not tried in a browser")
        return SKIPPED
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2).result.wasSuccessful() else 1
