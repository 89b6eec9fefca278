"""dicomcast-sandbox: see dicomcast work with nothing else installed, or try it against servers of your own."""

import sys
from typing import Annotated, NoReturn

import typer
from dicomcast_runtime.errors import StopError
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_runtime.version_option import print_version

__all__ = ["main"]

_USAGE_OF_TYPER = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version("dicomcast-sandbox"), is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Options before the command."""


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
    """A DICOM server stand-in: STOW-RS, DELETE, WADO-RS, QIDO-RS, change feed; the first line is its URL."""
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


@app.command()
def demo(
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(help="Your Kafka in place of the stand-in; DICOMCAST_KAFKA__… for the rest, as for the producer."),
    ] = None,
    fhir_url: Annotated[
        str | None,
        typer.Option(help="Your FHIR server in place of the stand-in; a password by DICOMCAST_FHIR__AUTH__…."),
    ] = None,
    dicomweb_url: Annotated[
        str | None,
        typer.Option(
            help="The DICOMweb root of your DICOM server in place of the stand-in, as http://orthanc:8042/dicom-web; "
            "a password by DICOMCAST_FEED__AUTH__…."
        ),
    ] = None,
    change_feed_url: Annotated[
        str | None,
        typer.Option(help="Where /v1/changefeed of your DICOM server is; default: --dicomweb-url less its last part."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, until Ctrl-C.")] = False,
    show_patients: Annotated[
        bool, typer.Option("--show-patients", help="Show identifiers and names of the (made-up) patients.")
    ] = False,
    timeout_s: Annotated[float, typer.Option(min=1, help="Seconds that the effect of one step may take.")] = 60.0,
) -> None:
    """DICOM files become FHIR resources: the real producer and consumer, with stand-ins for the servers not named."""
    from dicomcast_sandbox.demo import DemoOptions, run_demo

    options = DemoOptions(
        bootstrap_servers=bootstrap_servers,
        fhir_url=fhir_url,
        dicomweb_url=dicomweb_url,
        change_feed_url=change_feed_url,
        keep=keep,
        show_patients=show_patients,
        timeout_s=timeout_s,
    )
    raise typer.Exit(run_demo(options))


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
