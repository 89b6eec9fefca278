"""`peer`: the server under test. The contract runs on the sandbox's and on a real Orthanc with the plugin."""

from collections.abc import Iterator

import pytest

from tests.contract.change_feed.peers import OrthancPeer, Peer, SandboxPeer, closing
from tests.fakes.dicom_server import dicom_server


@pytest.fixture
def sandbox() -> Iterator[SandboxPeer]:
    """An empty sandbox server of this test's own."""
    with dicom_server() as server:
        peer = SandboxPeer(server)
        with closing(peer):
            yield peer


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[SandboxPeer]:
    with dicom_server() as server:
        peer = SandboxPeer(server)
        with closing(peer):
            yield peer


@pytest.fixture(params=["sandbox", "orthanc"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """Shared by the whole session: use UIDs of your own."""
    if request.param == "sandbox":
        yield request.getfixturevalue("shared_sandbox")
        return
    orthanc = OrthancPeer(request.getfixturevalue("orthanc"))
    with closing(orthanc):
        yield orthanc


@pytest.fixture
def own_orthanc_peer(request: pytest.FixtureRequest) -> Iterator[OrthancPeer]:
    """An Orthanc of this test's own, to stop and to kill."""
    orthanc = OrthancPeer(request.getfixturevalue("own_orthanc"))
    with closing(orthanc):
        yield orthanc
