"""As much of torch as a reference needs; see `transformers`."""

import contextlib

__version__ = "0.0"
float32 = "float32"
no_grad = contextlib.nullcontext
