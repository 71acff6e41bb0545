"""What installation compiles."""

from __future__ import annotations

import pytest

from twofold.app.kernels import compile_kernels


@pytest.mark.long
def test_every_kernel_is_compiled_through_the_real_stages_without_a_failure() -> None:
    assert compile_kernels() > 0
