"""As much of torch as a reference needs; see `transformers`, and `flair` in the folder beside."""

import contextlib

__version__ = "0.0"
float32 = "float32"
device = str
no_grad = contextlib.nullcontext
