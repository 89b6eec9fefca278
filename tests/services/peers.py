"""The four servers of the tests, each as a context: started at entry, ended and its run directory removed at exit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.server import Server, free_ports, run_dir

__all__ = ["FhirServer", "KafkaBroker", "OrthancServer", "SchemaRegistry"]

ORTHANC_PLUGIN = Path(__file__).parents[2] / "producer" / "orthanc_plugin" / "change_feed.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaBroker:
    """One Kafka 4 node without security; topics are not created by use."""

    bootstrap: str
    server: Server

    @staticmethod
    @contextmanager
    def started(
        config: Mapping[str, str] | None = None, *, ports: tuple[int, int] | None = None, options: str = ""
    ) -> Iterator["KafkaBroker"]:
        """`config`: lines of server.properties, over those of start-kafka.sh; `ports`: of the listener PLAINTEXT and
        of the controller; `options`: for Java."""
        port, controller = ports or free_ports(2)
        lines = "\n".join(f"{name}={value}" for name, value in (config or {}).items())
        with run_dir("kafka") as run:
            env = {"KAFKA_CONFIG": lines, "KAFKA_OPTS": options}
            server = Server("start-kafka.sh", [port, controller], run, env)
            with _running(server):
                yield KafkaBroker(bootstrap=f"127.0.0.1:{port}", server=server)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirServer:
    """HAPI FHIR JPA R4; many tests may use one at once, each with identifiers of its own."""

    url: str
    server: Server

    @staticmethod
    @contextmanager
    def started(*, on_disk: bool = False) -> Iterator["FhirServer"]:
        """`on_disk`: keeps its resources over stop and start (H2 does not survive a kill); otherwise in memory."""
        (port,) = free_ports(1)
        with run_dir("hapi") as run:
            jdbc = f"jdbc:h2:file:{run}/fhir" if on_disk else "jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1"
            server = Server("start-hapi.sh", [port, jdbc], run)
            with _running(server):
                yield FhirServer(url=f"http://127.0.0.1:{port}/fhir", server=server)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthancServer:
    """Orthanc with DICOMweb and, once it exists, the change feed plugin. HTTP Basic for all of its URLs."""

    url: str
    dicom_port: int
    user: str
    password: str
    dicomweb_url: str
    change_feed_url: str
    """The base before /v1 and /v2."""
    server: Server

    @staticmethod
    @contextmanager
    def started(*, plugin: bool = True) -> Iterator["OrthancServer"]:
        """`plugin`: with producer/orthanc_plugin/change_feed.py."""
        port, dicom_port = free_ports(2)
        script = [ORTHANC_PLUGIN] if plugin and ORTHANC_PLUGIN.exists() else []
        with run_dir("orthanc") as run:
            server = Server("start-orthanc.sh", [port, dicom_port, *script], run)
            with _running(server):
                yield OrthancServer(
                    url=f"http://127.0.0.1:{port}",
                    dicom_port=dicom_port,
                    user="test",
                    password="test-pw",
                    dicomweb_url=f"http://127.0.0.1:{port}/dicom-web",
                    change_feed_url=f"http://127.0.0.1:{port}",
                    server=server,
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRegistry:
    """Apicurio Registry, in memory."""

    url: str
    """Of its Confluent API."""
    server: Server

    @staticmethod
    @contextmanager
    def started() -> Iterator["SchemaRegistry"]:
        port, management = free_ports(2)
        with run_dir("registry") as run:
            server = Server("start-registry.sh", [port, management], run)
            with _running(server):
                yield SchemaRegistry(url=f"http://127.0.0.1:{port}/apis/ccompat/v7", server=server)


@contextmanager
def _running(server: Server) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.stop()
