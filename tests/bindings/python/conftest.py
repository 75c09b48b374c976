# SPDX-License-Identifier: MIT
import os
import subprocess

import pytest
import safetensors


class Program:
    """`dsv3 oracle` in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *arguments):
        environment = {name: value for name, value in os.environ.items() if name != "DSV3_NAME"}
        return subprocess.run([os.environ["DSV3_PROGRAM"], "oracle", *map(str, arguments)], cwd=self.folder,
                              env=environment, capture_output=True, text=True, timeout=300)

    def tensors(self, name):
        """Type, shape and bytes of each tensor of a file."""
        data = (self.folder / name).read_bytes()
        return {tensor: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for tensor, t in safetensors.deserialize(data)}


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)
