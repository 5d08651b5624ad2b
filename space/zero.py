"""ZeroGPU, the only hardware on which a free account may host a Gradio Space: what it asks of an app that needs no GPU.

Not tried on the real service. Tests hold it to the package ``spaces`` with a loopback in place of the device's address.
"""

from __future__ import annotations

import spaces


@spaces.GPU
def on_gpu() -> None:
    """Stand here, and be called by nobody: a ZeroGPU Space must have one such function, and Pairloop computes on the CPU."""


def announce() -> None:
    """Tell ZeroGPU that the app is there; do nothing on other hardware.

    The package does this when Gradio's own ``launch`` is called, which Pairloop never does: its server is its own.
    """
    from spaces import zero

    # The package has it on ZeroGPU only.
    if begin := getattr(zero, "startup", None):
        begin()
