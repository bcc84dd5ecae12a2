"""A stand-in that answers out of the sentences in `FAKE_FLAIR`, in the form of the goldens' cases.

Its `data` and `models` insist on being used as flair is: on the processor, by one hook, with labels under one name.
"""

__version__ = "0.15.1"
device = "cuda:0"
