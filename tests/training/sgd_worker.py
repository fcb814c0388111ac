"""A process of a launched fit that steps by plain gradients, so that sums may be compared: see test_launch.py."""

import sys

import torch

from harness.training import worker

if __name__ == "__main__":
    torch.optim.AdamW = lambda groups, lr, **_: torch.optim.SGD(groups, lr=lr)  # type: ignore[misc, assignment]
    sys.exit(worker.main())
