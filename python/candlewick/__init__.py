"""Token and text classification with BERT-family encoders: exact, fast, on ordinary machines.

>>> import candlewick
>>> ner = candlewick.pipeline("token-classification", aggregation_strategy="simple")
>>> [entity["word"] for entity in ner("My name is Sarah Jessica Parker but you can call me Jessica")]
['Sarah Jessica Parker', 'Jessica']
"""

from candlewick import errors
from candlewick._native import __version__
from candlewick.errors import QualityWarning, TruncationWarning
from candlewick.pipeline import pipeline
from candlewick.serving import serve
from candlewick.text_classification import TextClassificationPipeline
from candlewick.token_classification import TokenClassificationPipeline

__all__ = [
    "QualityWarning",
    "TextClassificationPipeline",
    "TokenClassificationPipeline",
    "TruncationWarning",
    "__version__",
    "errors",
    "pipeline",
    "serve",
]
