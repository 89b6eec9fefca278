"""`dicomcast-sandbox demo`: real DICOM files through the real producer and consumer, step by step.

files      real DICOM files, made new studies for this run
wiring     who talks to whom: options of a person → environment of the processes
line       the processes, each a `part` with a log; started in order, ended by pid
dicom_peer fhir_peer offsets     the demo as a user of the three servers
story      the steps                report  what a person sees
"""

from dicomcast_sandbox.demo.run import run_demo
from dicomcast_sandbox.demo.wiring import DemoOptions

__all__ = ["DemoOptions", "run_demo"]
