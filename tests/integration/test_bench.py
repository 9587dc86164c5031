"""The benchmarks run, and the small one of the controller finds it right in the end."""

import json
import os
import subprocess
import tempfile
import unittest

from integration import frame
from integration.hms import PROGRAM


class Bench(unittest.TestCase):
    def test_controller(self):
        with tempfile.NamedTemporaryFile() as output:
            done = subprocess.run(
                [os.path.join(frame.ROOT, "bench", "controller"), "--quick",
                 "--lab", frame.lab_name("bench"), "--build", os.path.dirname(PROGRAM),
                 "--output", output.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            print("\n" + done.stdout)
            row, = json.load(output)["rows"]
        self.assertEqual(row["containers"], 1000)
        self.assertGreater(row["lag"]["changes"], 0)
