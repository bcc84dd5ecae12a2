"""Exit code 0 when the server of this container is ready, 1 when it is not, for images that have no curl."""

import os
import sys
import urllib.error
import urllib.request

port = os.environ.get("CANDLEWICK_PORT", os.environ.get("PORT", "8080"))
try:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=4)
except (urllib.error.URLError, OSError) as error:
    sys.exit(f"not ready: {error}")
