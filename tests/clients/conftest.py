"""The Hub and the servers that clients talk to."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from clients.cases import BATCH_LIMIT, KEY, MODELS
from clients.servers import SlowHub, serving, until_ready


@pytest.fixture(scope="session")
def hub() -> Iterator[SlowHub]:
    hub = SlowHub()
    yield hub
    hub.close()


@pytest.fixture(scope="session")
def environment(hub: SlowHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables by which neither server nor client asks anything outside of this machine."""
    return {
        "PATH": os.environ["PATH"],
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path_factory.mktemp("hub")),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # A file that is held back is no failure.
        "HF_HUB_DOWNLOAD_TIMEOUT": "600",
        "CANDLEWICK_CACHE": str(tmp_path_factory.mktemp("packed")),
    }


@pytest.fixture(scope="session")
def servers(hub: SlowHub, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """`open` has all models and one that never arrives; `guarded` has a key and takes short lists only."""
    hub.add("org/ner", MODELS["org/ner"].folder)  # for who asks the Hub before the server
    hub.add_slow("org/stalled", MODELS["org/ner"].folder)
    folders = [str(model.folder) for model in MODELS.values()]
    names = [f"--served-model-name={name}" for name in (*MODELS, "org/stalled")]
    sentiment = str(MODELS["sentiment"].folder)
    with (
        serving(environment, *folders, "org/stalled", *names, "--loading-hold", "0.1") as everything,
        serving(environment, sentiment, f"--api-key={KEY}", f"--max-client-batch-size={BATCH_LIMIT}") as guarded,
    ):
        for name in MODELS:
            until_ready(f"{everything}/models/{name}")
        until_ready(guarded, KEY)
        yield {"open": everything, "guarded": guarded}
