# SPDX-License-Identifier: MIT
"""Cases and outputs as files, FP8 too."""
import dsv3

dsv3.save("case.safetensors", dsv3.gen("fp8_fprop", "ragged"))  # as ./dsv3 oracle gen fp8_fprop --kind ragged does
case = dsv3.load("case.safetensors")
print(case.metadata["dsv3_op"], case.attributes, {name: x.dtype.name for name, x in case.items()})
dsv3.save("outputs.safetensors", dsv3.run("fp8_fprop", case))  # for ./dsv3 oracle check fp8_fprop
