"""dicomcast-producer, that ends as by kill -9, or waits, at one commit. Run as a script: WHERE NUMBER SIGNAL_FILE ARGS…

before   everything of the NUMBERth transaction is on the broker, its commit is not asked for
after    the commit has happened, the producer has not heard of it
wait     as `before`, but it writes SIGNAL_FILE, and goes on once that is removed
"""

import os
import signal
import sys
import time
from pathlib import Path

import confluent_kafka
from dicomcast_producer import publisher
from dicomcast_producer.__main__ import main

WHERE, NUMBER, SIGNAL_FILE = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
commits = 0


class Crashing(confluent_kafka.Producer):
    def commit_transaction(self, *args: float) -> None:
        global commits
        commits += 1
        if commits != NUMBER:
            return super().commit_transaction(*args)
        if WHERE == "after":
            super().commit_transaction(*args)
        else:
            self.flush(30)
        if WHERE == "wait":
            SIGNAL_FILE.touch()
            while SIGNAL_FILE.exists():
                time.sleep(0.05)
            return super().commit_transaction(*args)
        return os.kill(os.getpid(), signal.SIGKILL)


vars(publisher)["Producer"] = Crashing
sys.argv = ["dicomcast-producer", *sys.argv[4:]]
main()
