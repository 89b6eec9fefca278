"""dicomcast-sandbox: see dicomcast work with nothing else installed, or try it against servers of your own."""

import sys
from typing import Annotated, NoReturn

import typer
from dicomcast_runtime.errors import StopError
from dicomcast_runtime.exit_codes import ExitCode

__all__ = ["main"]

_USAGE_OF_TYPER = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0 takes a free one.")]


def main() -> NoReturn:
    """Runs the command line; every outcome has its exit code (dicomcast_runtime.exit_codes)."""
    try:
        app()
    except StopError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except SystemExit as done:
        sys.exit(ExitCode.CONFIGURATION if done.code == _USAGE_OF_TYPER else done.code)
    sys.exit(ExitCode.OK)


@app.command()
def kafka(
    topic: Annotated[list[str] | None, typer.Option(help="Topic to make; default: the three of the contract.")] = None,
) -> None:
    """A Kafka stand-in (librdkafka's mock cluster) until SIGTERM; the first line is its bootstrap servers."""
    from dicomcast_sandbox.kafka import contract_topics
    from dicomcast_sandbox.serve import serve_kafka

    serve_kafka(topic or contract_topics(), out=_print)


@app.command()
def dicom(port: Port = 8080) -> None:
    """A DICOM server stand-in: STOW-RS, DELETE, WADO-RS metadata, QIDO-RS and the change feed; the first line is its URL."""
    from dicomcast_sandbox.dicom import dicom_app
    from dicomcast_sandbox.serve import serve_app

    about = (
        "change feed:  {url}/v1/changefeed  and  {url}/v2/changefeed",
        "DICOMweb:     {url}/v2/studies     (POST stores)",
        "for people:   {url}/",
        "A stand-in: in memory, without pixel data; it forgets everything when it ends.",
    )
    serve_app(dicom_app(), port=port, path="", about=about, out=_print)


@app.command()
def fhir(port: Port = 8081) -> None:
    """A FHIR R4 server stand-in; the first line is its base URL."""
    from dicomcast_sandbox.fhir import fhir_app
    from dicomcast_sandbox.serve import serve_app

    about = (
        "studies:      {url}/fhir/ImagingStudy",
        "for people:   {url}/",
        "A stand-in: in memory, without profiles; it forgets everything when it ends.",
    )
    serve_app(fhir_app(), port=port, path="/fhir", about=about, out=_print)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
